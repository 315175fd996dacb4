@NullMarked
package brantas;

import org.jspecify.annotations.NullMarked;
