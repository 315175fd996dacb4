@NullMarked
package brantas.cuda.shim;

import org.jspecify.annotations.NullMarked;
