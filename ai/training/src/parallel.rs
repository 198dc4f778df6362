//! Work for all cores, with results that do not depend on how many there are.

use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Threads the machine can run at once, 1 if it does not say.
pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// `f` of every item, in the order of the items, computed by up to `threads` threads of which the
/// caller is one.
///
/// Each item goes to the first thread that is free, so items of different cost balance out. The
/// results are those of one thread whenever `f` depends on its argument alone.
///
/// # Panics
/// If `f` panics; the panic is the one `f` raised, after all threads have ended.
///
/// ```
/// let squares = nexus_learning::parallel::map(0..5, 2, |n: u32| n * n);
/// assert_eq!(squares, [0, 1, 4, 9, 16]);
/// ```
pub fn map<I, T, R, F>(items: I, threads: usize, f: F) -> Vec<R>
where
    I: IntoIterator<Item = T>,
    T: Send,
    R: Send,
    F: Fn(T) -> R + Sync,
{
    let items: Vec<T> = items.into_iter().collect();
    let helpers = threads.min(items.len()).saturating_sub(1);
    if helpers == 0 {
        return items.into_iter().map(f).collect();
    }
    let queue = Mutex::new(items.into_iter().enumerate());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        let mut done = Vec::new();
        while let Some((place, item)) = next() {
            done.push((place, f(item)));
        }
        done
    };
    let mut done = thread::scope(|scope| {
        let helpers: Vec<_> = (0..helpers).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for helper in helpers {
            done.extend(helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn results_are_those_of_one_thread(
            items in prop::collection::vec(any::<u32>(), 0..40), threads in 0usize..6,
        ) {
            let f = |n: u32| n.wrapping_mul(2_654_435_761).to_string();
            let expected: Vec<_> = items.iter().copied().map(f).collect();
            prop_assert_eq!(map(items, threads, f), expected);
        }
    }

    #[test]
    fn threads_work_at_the_same_time() {
        // Each item waits for the other, so one thread alone would never end.
        let meeting = Barrier::new(2);
        let workers = map(0..2, 2, |_| {
            meeting.wait();
            format!("{:?}", thread::current().id())
        });
        assert_eq!(workers.into_iter().collect::<BTreeSet<_>>().len(), 2);
    }

    #[test]
    fn items_may_borrow_mutably() {
        let mut values = [1, 2, 3];
        map(&mut values, 2, |value| *value *= 10);
        assert_eq!(values, [10, 20, 30]);
    }

    #[test]
    fn a_panic_arrives_with_its_own_words() {
        for threads in [1, 3] {
            let job = AssertUnwindSafe(|| {
                map(0..8, threads, |n| assert!(n != 5, "item five is broken"));
            });
            let panic = catch_unwind(job).unwrap_err();
            assert_eq!(panic.downcast_ref(), Some(&"item five is broken"));
        }
    }
}
