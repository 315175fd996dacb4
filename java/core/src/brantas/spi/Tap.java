package brantas.spi;

import brantas.tensor.Buffer;

/// Looks at the residual stream between blocks: for parity checks and probing. Called on the
/// engine's thread; the buffer is valid during the call.
public interface Tap {
    /// After block `layer`.
    ///
    /// @param hidden `[rows, hidden]`, the residual stream
    /// @param rows how many rows are in use
    void hidden(int layer, Buffer hidden, int rows);

    /// Sees nothing.
    Tap NONE = (layer, hidden, rows) -> {};
}
