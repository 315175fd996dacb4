@NullMarked
package brantas.format;

import org.jspecify.annotations.NullMarked;
