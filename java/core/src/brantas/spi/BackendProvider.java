package brantas.spi;

import brantas.op.Backend;

/// A backend outside this library, found as a service: it names itself and opens, or says in one
/// sentence why it cannot and what to do.
public interface BackendProvider {
    /// What a user asks for it by: `cuda`.
    String name();

    /// Whether this machine has a device of the kind at all, cheaply: without one, `auto` does not
    /// try.
    boolean present();

    /// Opens a device; no weights yet.
    ///
    /// @throws brantas.settings.BrantasException if it cannot be used, with the reason and the
    ///   remedy
    Backend open(Choice choice);

    /// What may be chosen.
    ///
    /// @param device `auto` for the one with most free memory, an index, or a UUID
    /// @param graphs whether decode steps are recorded and replayed
    /// @param exact whether operands inside an op keep the precision of fp32, at a price in speed:
    ///   for comparisons
    record Choice(String device, boolean graphs, boolean exact) {}
}
