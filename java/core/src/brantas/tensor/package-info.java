@NullMarked
package brantas.tensor;

import org.jspecify.annotations.NullMarked;
