/// What a GPU that is not here would do: the launches of a decode and of a prefill step, the bytes
/// and operations of each, and the time they take by stated figures. A plan, not a measurement; it
/// knows configurations only, neither weights nor a backend.
@NullMarked
package brantas.predict;

import org.jspecify.annotations.NullMarked;
