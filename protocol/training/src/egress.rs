//! What may leave a party, and why: the one place of the protocol where messages are cleared.
//!
//! | message | why it may leave |
//! |---|---|
//! | a coordinator's or member's | neither holds a row: they know sums, keys and what was sent to them |
//! | an owner's contribution | it is [`Masked`]: clipped, noised and paid for, or waived by the job |
//! | what its engine says next | the engine masks what it was given, and sends keys and shares of keys besides |
//! | no answer, and why | a refusal of the coordinator, or a sentence for people that the driver answers for |
//! | statistics, an update in the clear | the job has no differential privacy, and says so by a [`Waiver`] |
//! | an answer that was kept | it was cleared when it was first sent |

use nexus_privacy::flow::{Masked, Waiver};
use nexus_types::{Canonical, Cleared, CodecError, JobId};

use crate::message::{Answer, Task, TaskId, presentable};
use crate::secure::{MemberAnswer, MemberTask};

/// What parties without rows say.
pub(crate) trait Control: Canonical {}

impl Control for Task {}
impl Control for MemberTask {}
impl Control for MemberAnswer {}

type Outcome = Result<Cleared, CodecError>;

/// Clears what a party without rows says.
pub(crate) fn control(message: &impl Control) -> Outcome {
    clear(message)
}

/// Clears an owner's contribution to a sum.
pub(crate) fn contribution(job: JobId, slot: u32, masked: &Masked) -> Outcome {
    clear(&Answer::Sum { job, slot, message: masked.message().to_vec() })
}

/// Clears what an owner's engine says after its contribution was made.
pub(crate) fn engine(job: JobId, slot: u32, message: &[u8]) -> Outcome {
    clear(&Answer::Sum { job, slot, message: message.to_vec() })
}

/// Clears an owner's word that it has no answer.
pub(crate) fn declined(job: JobId, id: TaskId, reason: &str) -> Outcome {
    clear(&Answer::Declined { job, id, reason: presentable(reason) })
}

/// Clears an answer of which rows decide.
pub(crate) fn waived(_waiver: Waiver, answer: &Answer) -> Outcome {
    clear(answer)
}

/// Clears the answer that an owner kept when it sent it.
pub(crate) fn kept(answer: &[u8]) -> Cleared {
    Cleared::vouched_for(answer.into())
}

fn clear(message: &impl Canonical) -> Outcome {
    Ok(Cleared::vouched_for(message.encode()?.into()))
}
