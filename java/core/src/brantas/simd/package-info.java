@NullMarked
package brantas.simd;

import org.jspecify.annotations.NullMarked;
