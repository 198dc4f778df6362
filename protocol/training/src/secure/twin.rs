//! A weakened twin: a test leaves the check of packet keys out of real owners and members.
//!
//! Only this crate's tests can: in every other build [`signatures_count`] is the constant `true`.

/// Whether the packet key of a member must be signed by it.
#[cfg(not(test))]
pub(super) const fn signatures_count() -> bool {
    true
}

#[cfg(test)]
pub(super) use omission::{signatures_count, without_signatures};

#[cfg(test)]
mod omission {
    use std::cell::Cell;

    thread_local! {
        static COUNT: Cell<bool> = const { Cell::new(true) };
    }

    pub(in crate::secure) fn signatures_count() -> bool {
        COUNT.get()
    }

    /// Brings the check back, also when a test fails.
    struct Back;

    impl Drop for Back {
        fn drop(&mut self) {
            COUNT.set(true);
        }
    }

    /// Runs `attack` against machines of this thread that believe any packet key.
    pub(in crate::secure) fn without_signatures<T>(attack: impl FnOnce() -> T) -> T {
        let _back = Back;
        COUNT.set(false);
        attack()
    }
}
