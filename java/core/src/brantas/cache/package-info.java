@NullMarked
package brantas.cache;

import org.jspecify.annotations.NullMarked;
