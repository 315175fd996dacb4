@NullMarked
package brantas.token;

import org.jspecify.annotations.NullMarked;
