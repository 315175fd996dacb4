@NullMarked
package brantas.cuda.launch;

import org.jspecify.annotations.NullMarked;
