@NullMarked
package brantas.model;

import org.jspecify.annotations.NullMarked;
