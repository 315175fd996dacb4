@NullMarked
package brantas.spi;

import org.jspecify.annotations.NullMarked;
