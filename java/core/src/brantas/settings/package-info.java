@NullMarked
package brantas.settings;

import org.jspecify.annotations.NullMarked;
