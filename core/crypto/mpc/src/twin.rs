//! Weakened twins: a test leaves one check out of the real machines and shows what it was for.
//!
//! Only this crate's tests can: in every other build [`enforced`] is the constant `true`.

/// A check that a test can leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// A set of survivors has at least `n_min` owners.
    Floor,
    /// A set of survivors names nobody twice.
    Order,
    /// The coordinator takes one message of an owner.
    OneMessage,
    /// Every word of a masked vector is below p.
    Canonical,
    /// A member's row lies on the polynomial that its owner has shown.
    Row,
    /// A packet is sealed for one sum, owner and vector.
    PacketContext,
    /// The challenge of the check of packets depends on sum and owner.
    PacketChallenge,
    /// Survivors are divided into leaves anew for every certified set.
    FreshLeaves,
    /// Members that complain about many are set aside.
    Complainers,
    /// The sum of the keys is the one that leaves short errors.
    KeySum,
    /// Dealers are judged by the complaints about them.
    Complaints,
    /// Partial decryptions are verified before they are combined.
    Partials,
}

/// Whether the check is made: always, but in a test that has left it out.
#[cfg(not(test))]
pub(crate) const fn enforced(_: Check) -> bool {
    true
}

#[cfg(test)]
pub(crate) use omission::{enforced, without};

#[cfg(test)]
mod omission {
    use std::cell::RefCell;

    use super::Check;

    thread_local! {
        static OMITTED: RefCell<Vec<Check>> = const { RefCell::new(Vec::new()) };
    }

    pub(crate) fn enforced(check: Check) -> bool {
        OMITTED.with_borrow(|omitted| !omitted.contains(&check))
    }

    /// Brings the checks back, also when a test fails.
    struct Back(Vec<Check>);

    impl Drop for Back {
        fn drop(&mut self) {
            OMITTED.set(std::mem::take(&mut self.0));
        }
    }

    /// Runs `attack` against machines without these checks. They are those of this thread, and
    /// no machine starts another.
    pub(crate) fn without<T>(checks: &[Check], attack: impl FnOnce() -> T) -> T {
        let _back = Back(OMITTED.replace(checks.to_vec()));
        attack()
    }

    #[test]
    fn a_check_is_left_out_only_while_the_attack_runs() {
        assert!(enforced(Check::Floor));
        without(&[Check::Floor], || assert!(!enforced(Check::Floor) && enforced(Check::Order)));
        assert!(enforced(Check::Floor));
    }
}
