@NullMarked
package brantas.cuda.blas;

import org.jspecify.annotations.NullMarked;
