//! Time as an argument.

use std::cell::Cell;
use std::ops::Add;
use std::time::Duration;

use borsh::{BorshDeserialize, BorshSerialize};

/// Milliseconds since the clock's own start.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize,
)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Time passed since `earlier`, zero if that lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

/// Something that knows the time.
pub trait Clock {
    /// The time now; never runs backwards.
    fn now(&self) -> Timestamp;
}

/// The machine's monotonic clock, counted from its creation.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: std::time::Instant,
}

impl Default for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that others are given")]
    fn default() -> Self {
        Self { start: std::time::Instant::now() }
    }
}

impl SystemClock {
    /// Seconds since the clock's creation, with the full resolution of the machine.
    pub fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::default() + self.start.elapsed()
    }
}

/// A clock that moves when it is told to.
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    now: Cell<Timestamp>,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub const fn at(now: Timestamp) -> Self {
        Self { now: Cell::new(now) }
    }

    /// Moves to `time`; a time in the past leaves the clock where it is.
    pub fn advance_to(&self, time: Timestamp) {
        self.now.set(self.now.get().max(time));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.now.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_saturates_and_never_runs_backwards() {
        assert_eq!(Timestamp(u64::MAX) + Duration::MAX, Timestamp(u64::MAX));
        assert_eq!(Timestamp(1).since(Timestamp(5)), Duration::ZERO);
        let clock = ManualClock::default();
        clock.advance_to(Timestamp(9));
        clock.advance_to(Timestamp(3));
        assert_eq!(clock.now(), Timestamp(9));
    }
}
