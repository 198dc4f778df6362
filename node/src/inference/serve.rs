//! A server of one model over HTTP.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/description` | | the model's [`Description`](nexus_inference::Description) |
//! | `POST /v1/keys` | SEAL's `RelinKeys`, if needed, and `GaloisKeys` | their name, 32 bytes |
//! | `POST /v1/answers/NAME` | SEAL's `Ciphertext` | SEAL's `Ciphertext` |
//! | `GET /metrics` | | counters, as text that Prometheus reads |
//!
//! There is no TLS: ciphertexts need none to hide a row, but put a proxy in front where it matters who
//! asks, or that answers come from this server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use nexus_inference::{InferenceError, Server};
use nexus_types::{Canonical, Digest, SystemClock};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::error::NodeError;
use crate::random::SystemRng;

/// Questions that wait for each thread before others are turned away.
const WAITING: usize = 16;
/// From a request to its answer.
const DEADLINE: Duration = Duration::from_mins(1);

/// What all requests share.
struct Shared {
    server: Server,
    /// Threads that compute, and questions that may wait for them.
    threads: Semaphore,
    places: Semaphore,
    clock: SystemClock,
    answered: AtomicU64,
    refused: AtomicU64,
    turned_away: AtomicU64,
    micros: AtomicU64,
}

/// Why a request has no answer.
enum Refusal {
    Bad(InferenceError),
    Busy,
    Late,
    Failed(String),
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

/// Serves a model at `address` until the process is told to stop; `ready` is told where.
///
/// # Errors
/// [`NodeError::Listen`] if nobody can listen there.
pub fn serve(
    server: Server,
    address: SocketAddr,
    threads: usize,
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
        let served = axum::serve(listener, router(server, threads));
        served.with_graceful_shutdown(told_to_stop()).await.map_err(listen)
    })
}

async fn told_to_stop() {
    // Where signals cannot be heard, the process is killed.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn router(server: Server, threads: usize) -> Router {
    let shared = Arc::new(Shared {
        server,
        threads: Semaphore::new(threads),
        places: Semaphore::new(threads * (1 + WAITING)),
        clock: SystemClock::default(),
        answered: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        turned_away: AtomicU64::new(0),
        micros: AtomicU64::new(0),
    });
    Router::new()
        .route("/v1/description", get(description))
        .route("/v1/keys", post(keys))
        .route("/v1/answers/{keys}", post(answer))
        .route("/metrics", get(metrics))
        .with_state(shared)
}

async fn description(State(shared): State<Arc<Shared>>) -> Result<Vec<u8>, Refusal> {
    shared.server.description().encode().map_err(|error| Refusal::Bad(error.into()))
}

async fn keys(State(shared): State<Arc<Shared>>, body: Body) -> Result<Vec<u8>, Refusal> {
    let message = Message { what: "keys", body, limit: shared.server.key_bytes() };
    let done = computed(&shared, message, Server::register).await;
    done.map(|name| name.0.to_vec())
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Vec<u8>, Refusal> {
    let unknown = || Refusal::Bad(InferenceError::UnknownKeys { id: Digest([0; 32]) });
    let name: Digest = name.parse().map_err(|_| unknown())?;
    let message = Message { what: "a question", body, limit: shared.server.question_bytes() };
    let work =
        move |server: &Server, bytes: &[u8]| server.answer(name, bytes, &mut SystemRng::default());
    computed(&shared, message, work).await
}

/// A message that is still to be read, by who has a place.
struct Message {
    what: &'static str,
    body: Body,
    limit: usize,
}

impl Message {
    async fn read(self) -> Result<Vec<u8>, Refusal> {
        let Self { what, body, limit } = self;
        let read = timeout(DEADLINE, to_bytes(body, limit)).await.map_err(|_| Refusal::Late)?;
        // Whoever broke off does not hear it.
        let large = |_| Refusal::Bad(InferenceError::Bytes { what, got: limit + 1, limit });
        read.map(Into::into).map_err(large)
    }
}

/// Computes on a thread of its own, when there is one, and counts.
async fn computed<T: Send + 'static>(
    shared: &Arc<Shared>,
    message: Message,
    work: impl FnOnce(&Server, &[u8]) -> Result<T, InferenceError> + Send + 'static,
) -> Result<T, Refusal> {
    let from = shared.clock.seconds();
    let Ok(_place) = shared.places.try_acquire() else {
        shared.turned_away.fetch_add(1, Ordering::Relaxed);
        return Err(Refusal::Busy);
    };
    let bytes = message.read().await?;
    let turn = timeout(DEADLINE, shared.threads.acquire());
    let _turn = turn.await.map_err(|_| Refusal::Late)?;
    let own = Arc::clone(shared);
    let done = tokio::task::spawn_blocking(move || work(&own.server, &bytes)).await;
    let done = done.map_err(|error| Refusal::Failed(error.to_string()))?;
    let micros = Duration::from_secs_f64((shared.clock.seconds() - from).max(0.0)).as_micros();
    shared.micros.fetch_add(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::Relaxed);
    let count = if done.is_ok() { &shared.answered } else { &shared.refused };
    count.fetch_add(1, Ordering::Relaxed);
    done.map_err(Refusal::Bad)
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
