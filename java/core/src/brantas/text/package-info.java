@NullMarked
package brantas.text;

import org.jspecify.annotations.NullMarked;
