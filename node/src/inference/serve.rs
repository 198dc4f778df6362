//! A server of one model over HTTP.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/signed/description` | | the model's [`Description`](nexus_inference::Description) |
//! | `POST /v1/signed/keys` | SEAL's `RelinKeys`, if needed, and `GaloisKeys` | their name, 32 bytes |
//! | `POST /v1/signed/answers/NAME` | SEAL's `Ciphertext` | SEAL's `Ciphertext` |
//! | `GET /metrics` | | counters, as text that Prometheus reads |
//!
//! Bodies and answers are signed ([`super::signed`]): an answer is this server's, to this question, and
//! nobody asks under another's keys. With `--unsigned` the same is at `/v1/..` without signatures, for
//! users of SEAL alone. There is no TLS: what is sent hides rows by itself, but sizes and times are seen.
//!
//! Bodies are read before a question has a place, in pieces that are counted for all together, and
//! whoever sends less than 64 KiB a second, after ten that are free, is cut off.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use nexus_inference::{InferenceError, Server};
use nexus_mpc::Identity;
use nexus_types::{Canonical, Digest, SystemClock};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::signed::{self, HEADER_BYTES, Kind, SignedError, context};
use crate::error::NodeError;
use crate::random::SystemRng;

/// Questions that wait for each thread before others are turned away.
const WAITING: usize = 16;
/// From a request to its answer.
const DEADLINE: Duration = Duration::from_mins(1);

/// Bytes of a second that a sender has to keep up with, after a time that is free.
const RATE: f64 = 65_536.0;
const GRACE: Duration = Duration::from_secs(10);
/// Bodies of all requests together.
const BODIES: usize = 2 << 30;
/// What they are counted in.
const PIECE: usize = 4096;

/// How a model is served.
#[derive(Clone, Copy, Debug)]
pub struct Serving {
    /// Where.
    pub address: SocketAddr,
    /// Questions that are computed at a time.
    pub threads: usize,
    /// Whether messages without a signature are taken, too.
    pub unsigned: bool,
}

/// What all requests share.
struct Shared {
    server: Server,
    identity: Identity,
    /// Pieces of bodies that may still be read.
    bodies: Arc<Semaphore>,
    /// Threads that compute, and questions that may wait for them.
    threads: Arc<Semaphore>,
    places: Arc<Semaphore>,
    clock: SystemClock,
    answered: AtomicU64,
    refused: AtomicU64,
    turned_away: AtomicU64,
    micros: AtomicU64,
}

/// Why a request has no answer.
enum Refusal {
    Bad(InferenceError),
    Signature(SignedError),
    Slow(usize),
    Full,
    Busy,
    Late,
    Failed(String),
}

impl From<InferenceError> for Refusal {
    fn from(error: InferenceError) -> Self {
        Self::Bad(error)
    }
}

impl From<SignedError> for Refusal {
    fn from(error: SignedError) -> Self {
        Self::Signature(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::Bad(error @ InferenceError::UnknownKeys { .. }) => {
                (StatusCode::NOT_FOUND, error.to_string())
            }
            Self::Bad(error @ InferenceError::Bytes { .. }) => {
                (StatusCode::PAYLOAD_TOO_LARGE, error.to_string())
            }
            Self::Bad(error) => (StatusCode::BAD_REQUEST, error.to_string()),
            Self::Signature(error) => (StatusCode::UNAUTHORIZED, error.to_string()),
            Self::Slow(got) => {
                let text =
                    format!("{got} bytes came; {RATE} a second are the least after {GRACE:?}");
                (StatusCode::REQUEST_TIMEOUT, text)
            }
            Self::Full => {
                let text = format!("bodies that are being read have {BODIES} bytes together");
                (StatusCode::SERVICE_UNAVAILABLE, text)
            }
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "too many questions wait".to_owned()),
            Self::Late => {
                let seconds = DEADLINE.as_secs();
                (StatusCode::GATEWAY_TIMEOUT, format!("no answer within {seconds} seconds"))
            }
            Self::Failed(problem) => (StatusCode::INTERNAL_SERVER_ERROR, problem),
        };
        (status, text).into_response()
    }
}

/// Serves a model until the process is told to stop; `ready` is told where.
///
/// # Errors
/// [`NodeError::Listen`] if nobody can listen there.
pub fn serve(
    server: Server,
    identity: Identity,
    Serving { address, threads, unsigned }: Serving,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), NodeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(threads + 1)
        .enable_all()
        .build();
    let listen = |source| NodeError::Listen { address, source };
    runtime.map_err(listen)?.block_on(async {
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        ready(listener.local_addr().map_err(listen)?);
        let served = axum::serve(listener, router(server, identity, threads, unsigned));
        served.with_graceful_shutdown(told_to_stop()).await.map_err(listen)
    })
}

async fn told_to_stop() {
    // Where signals cannot be heard, the process is killed.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn router(server: Server, identity: Identity, threads: usize, unsigned: bool) -> Router {
    let shared = Arc::new(Shared {
        server,
        identity,
        bodies: Arc::new(Semaphore::new(BODIES / PIECE)),
        threads: Arc::new(Semaphore::new(threads)),
        places: Arc::new(Semaphore::new(threads * (1 + WAITING))),
        clock: SystemClock::default(),
        answered: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        turned_away: AtomicU64::new(0),
        micros: AtomicU64::new(0),
    });
    let mut router = Router::new()
        .route("/v1/signed/description", get(signed_description))
        .route("/v1/signed/keys", post(signed_keys))
        .route("/v1/signed/answers/{keys}", post(signed_answer))
        .route("/metrics", get(metrics));
    if unsigned {
        router = router
            .route("/v1/description", get(description))
            .route("/v1/keys", post(keys))
            .route("/v1/answers/{keys}", post(answer));
    }
    router.with_state(shared)
}

async fn description(State(shared): State<Arc<Shared>>) -> Result<Vec<u8>, Refusal> {
    shared.server.description().encode().map_err(|error| Refusal::Bad(error.into()))
}

async fn signed_description(shared: State<Arc<Shared>>) -> Result<Vec<u8>, Refusal> {
    let State(own) = shared.clone();
    let body = description(shared).await?;
    Ok(signed::sign(&own.identity, Kind::Description, context(b""), &body)?)
}

async fn keys(State(shared): State<Arc<Shared>>, body: Body) -> Result<Vec<u8>, Refusal> {
    let message = Message { what: "keys", body, limit: shared.server.key_bytes() };
    let work = |shared: &Shared, bytes: &[u8]| Ok(shared.server.register(bytes)?.0.to_vec());
    computed(&shared, message, work).await
}

async fn signed_keys(State(shared): State<Arc<Shared>>, body: Body) -> Result<Vec<u8>, Refusal> {
    let limit = shared.server.key_bytes() + HEADER_BYTES;
    let work = |shared: &Shared, bytes: &[u8]| {
        let server = context(&shared.identity.public().0);
        let (user, keys) = signed::open(bytes, Kind::Keys, server)?;
        let name = shared.server.register_for(Some(user.0), &keys)?;
        Ok(signed::sign(&shared.identity, Kind::Name, context(bytes), &name.0)?)
    };
    computed(&shared, Message { what: "keys", body, limit }, work).await
}

fn named(name: &str) -> Result<Digest, Refusal> {
    let unknown = |_| Refusal::Bad(InferenceError::UnknownKeys { id: Digest([0; 32]) });
    name.parse().map_err(unknown)
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Vec<u8>, Refusal> {
    let name = named(&name)?;
    let message = Message { what: "a question", body, limit: shared.server.question_bytes() };
    let work = move |shared: &Shared, bytes: &[u8]| {
        Ok(shared.server.answer(name, bytes, &mut SystemRng::default())?)
    };
    computed(&shared, message, work).await
}

async fn signed_answer(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Vec<u8>, Refusal> {
    let name = named(&name)?;
    let limit = shared.server.question_bytes() + HEADER_BYTES;
    let work = move |shared: &Shared, bytes: &[u8]| {
        let (user, question) = signed::open(bytes, Kind::Question, name)?;
        let rng = &mut SystemRng::default();
        let answer = shared.server.answer_for(Some(user.0), name, &question, rng)?;
        Ok(signed::sign(&shared.identity, Kind::Answer, context(bytes), &answer)?)
    };
    computed(&shared, Message { what: "a question", body, limit }, work).await
}

/// A message that is still to be read.
struct Message {
    what: &'static str,
    body: Body,
    limit: usize,
}

/// What was read, and the room that it was counted with.
struct Read {
    bytes: Vec<u8>,
    pieces: Vec<OwnedSemaphorePermit>,
}

impl Message {
    /// Reads it as it comes: who sends nothing has nothing.
    async fn read(mut self, shared: &Shared) -> Result<Read, Refusal> {
        let (from, mut bytes, mut pieces) = (shared.clock.seconds(), Vec::new(), Vec::new());
        loop {
            let due = from + GRACE.as_secs_f64() + bytes.len() as f64 / RATE;
            let due = due.min(from + DEADLINE.as_secs_f64()) - shared.clock.seconds();
            let next = poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx));
            let next = timeout(Duration::from_secs_f64(due.max(0.0)), next).await;
            // Whoever broke off does not hear it.
            let frame = match next.map_err(|_| Refusal::Slow(bytes.len()))? {
                None => return Ok(Read { bytes, pieces }),
                Some(frame) => frame.map_err(|_| Refusal::Slow(bytes.len()))?,
            };
            let Ok(data) = frame.into_data() else { continue };
            let (what, limit, got) = (self.what, self.limit, bytes.len() + data.len());
            if got > limit {
                return Err(Refusal::Bad(InferenceError::Bytes { what, got, limit }));
            }
            let count = u32::try_from(data.len().div_ceil(PIECE)).unwrap_or(u32::MAX);
            let piece = Arc::clone(&shared.bodies).try_acquire_many_owned(count);
            pieces.push(piece.map_err(|_| Refusal::Full)?);
            bytes.extend_from_slice(&data);
        }
    }
}

/// Computes on a thread of its own, when there is one, and counts.
async fn computed<T: Send + 'static>(
    shared: &Arc<Shared>,
    message: Message,
    work: impl FnOnce(&Shared, &[u8]) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let Read { bytes, pieces } = message.read(shared).await?;
    let from = shared.clock.seconds();
    let Ok(place) = Arc::clone(&shared.places).try_acquire_owned() else {
        shared.turned_away.fetch_add(1, Ordering::Relaxed);
        return Err(Refusal::Busy);
    };
    let turn = timeout(DEADLINE, Arc::clone(&shared.threads).acquire_owned());
    let turn = turn.await.map_err(|_| Refusal::Late)?;
    let own = Arc::clone(shared);
    // Who hangs up frees nothing before the work is done.
    let done = tokio::task::spawn_blocking(move || {
        let _held = (place, turn, pieces);
        work(&own, &bytes)
    });
    let done = done.await.map_err(|error| Refusal::Failed(error.to_string()))?;
    let micros = Duration::from_secs_f64((shared.clock.seconds() - from).max(0.0)).as_micros();
    shared.micros.fetch_add(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::Relaxed);
    let count = if done.is_ok() { &shared.answered } else { &shared.refused };
    count.fetch_add(1, Ordering::Relaxed);
    done
}

async fn metrics(State(shared): State<Arc<Shared>>) -> String {
    let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let seconds = get(&shared.micros) as f64 * 1e-6;
    format!(
        "# TYPE nexus_inference_requests counter\n\
         nexus_inference_requests_total{{outcome=\"answered\"}} {}\n\
         nexus_inference_requests_total{{outcome=\"refused\"}} {}\n\
         nexus_inference_requests_total{{outcome=\"turned_away\"}} {}\n\
         # TYPE nexus_inference_seconds counter\n\
         nexus_inference_seconds_total {seconds}\n\
         # TYPE nexus_inference_users gauge\n\
         nexus_inference_users {}\n\
         # EOF\n",
        get(&shared.answered),
        get(&shared.refused),
        get(&shared.turned_away),
        shared.server.users(),
    )
}
