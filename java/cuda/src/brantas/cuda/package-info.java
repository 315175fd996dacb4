@NullMarked
package brantas.cuda;

import org.jspecify.annotations.NullMarked;
