//! Owners, a coordinator and a bad network in virtual time.
//!
//! Owner i trains on the loss `sum_j curvature_ij / 2 (y_j - centre_ij)^2`.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexus_training::{
    Coordinator, CoordinatorEffect, CoordinatorEvent, LocalResult, LocalTask, Participant,
    ParticipantEffect, ParticipantEvent, Plan, RoundRecord, TrainingError,
};
use nexus_types::{OwnerId, Party, Seed, SeededRng, Timestamp};

/// What goes wrong. Chances are from 0 to 1, times in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Chaos {
    pub(crate) latency: u64,
    pub(crate) training: u64,
    pub(crate) loss: f64,
    pub(crate) duplicate: f64,
    pub(crate) decline: f64,
    pub(crate) garbage: f64,
    pub(crate) crash: f64,
    /// Crashes there can be, over all parties.
    pub(crate) crashes: u32,
}

/// The losses of the owners.
#[derive(Clone, Debug)]
pub(crate) struct Quadratics {
    pub(crate) curvature: Vec<Vec<f64>>,
    pub(crate) centre: Vec<Vec<f64>>,
    pub(crate) steps: u64,
    pub(crate) rate: f64,
}

impl Quadratics {
    pub(crate) fn random(plan: &Plan, rng: &mut SeededRng) -> Self {
        let mut table = |low: f64, width: f64| -> Vec<Vec<f64>> {
            let mut row = || (0..plan.parameters).map(|_| low + width * rng.unit()).collect();
            (0..plan.owners).map(|_| row()).collect()
        };
        Self { curvature: table(0.2, 1.0), centre: table(-2.0, 4.0), steps: 5, rate: 0.3 }
    }

    /// Where the mean of the losses is least.
    pub(crate) fn optimum(&self) -> Vec<f64> {
        let coordinate = |j: usize| {
            let pairs = self.curvature.iter().zip(&self.centre);
            let (above, below) = pairs
                .fold((0.0, 0.0), |(above, below), (a, b)| (above + a[j] * b[j], below + a[j]));
            above / below
        };
        (0..self.curvature[0].len()).map(coordinate).collect()
    }

    pub(crate) fn train(&self, owner: OwnerId, task: &LocalTask) -> LocalResult {
        let (curvature, centre) = (&self.curvature[owner.index()], &self.centre[owner.index()]);
        let start: Vec<f64> = task.parameters.iter().map(|&x| f64::from(x)).collect();
        let mut y = start.clone();
        for _ in 0..self.steps {
            for j in 0..y.len() {
                let correction = task.correction.as_ref().map_or(0.0, |c| f64::from(c[j]));
                let proximal = f64::from(task.proximal) * (y[j] - start[j]);
                y[j] -= self.rate * (curvature[j] * (y[j] - centre[j]) + proximal + correction);
            }
        }
        let losses = (0..y.len()).map(|j| curvature[j] / 2.0 * (y[j] - centre[j]).powi(2));
        let examples = 10 + u64::from(owner.0);
        #[expect(clippy::cast_possible_truncation, reason = "updates are 32-bit floats")]
        let delta = y.iter().zip(&start).map(|(y, x)| (y - x) as f32).collect();
        LocalResult {
            delta,
            examples,
            loss_sum: losses.sum::<f64>() * examples as f64,
            steps: self.steps,
            displacement: self.steps as f64 * self.rate,
        }
    }
}

/// An event as it can be kept and given again.
#[derive(Clone, Debug)]
pub(crate) enum Given {
    Start,
    Begin(Vec<f32>),
    Message(OwnerId, Arc<[u8]>),
    Wake,
    Restarted,
}

impl Given {
    pub(crate) fn event(&self) -> CoordinatorEvent<'_> {
        match self {
            Self::Start => CoordinatorEvent::Start,
            Self::Begin(parameters) => CoordinatorEvent::Begin { parameters: parameters.clone() },
            Self::Message(from, bytes) => CoordinatorEvent::Message { from: *from, bytes },
            Self::Wake => CoordinatorEvent::Wake,
            Self::Restarted => CoordinatorEvent::Restarted,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum GivenOwner {
    Message(Arc<[u8]>),
    Summarised(Vec<f64>),
    Trained(nexus_training::TaskId, LocalResult),
    Failed(nexus_training::TaskId),
    Restarted,
}

impl GivenOwner {
    pub(crate) fn event(&self) -> ParticipantEvent<'_> {
        match self {
            Self::Message(bytes) => ParticipantEvent::Message(bytes),
            Self::Summarised(sums) => ParticipantEvent::Summarised(sums.clone()),
            Self::Trained(id, result) => ParticipantEvent::Trained(*id, result.clone()),
            Self::Failed(id) => ParticipantEvent::Failed(*id, "busy".into()),
            Self::Restarted => ParticipantEvent::Restarted,
        }
    }
}

#[derive(Debug)]
enum Happening {
    Coordinator(Given),
    Owner(OwnerId, u32, GivenOwner),
    Restart(Party),
}

#[derive(Debug)]
struct Host<M> {
    machine: Option<M>,
    disk: Option<Vec<u8>>,
    life: u32,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ending {
    Finished(Vec<f32>),
    Failed(TrainingError),
}

/// A job in a bad world.
#[derive(Debug)]
pub(crate) struct Simulator {
    plan: Plan,
    chaos: Chaos,
    world: Quadratics,
    rng: SeededRng,
    now: u64,
    order: u64,
    agenda: BTreeMap<(u64, u64), Happening>,
    coordinator: Host<Coordinator>,
    owners: Vec<Host<Participant>>,
    crashes: u32,
    ending: Option<Ending>,
    /// After how many events all parties crash at once, with everything under way.
    pub(crate) power_cut: Option<u32>,
    pub(crate) events: u32,
    pub(crate) records: Vec<RoundRecord>,
    pub(crate) log: Vec<(u64, Given)>,
    pub(crate) owner_logs: Vec<Vec<GivenOwner>>,
}

impl Simulator {
    pub(crate) fn new(plan: Plan, chaos: Chaos, world: Quadratics, seed: Seed) -> Self {
        let host = |id| Host {
            machine: Some(Participant::new(plan.clone(), id).unwrap()),
            disk: None,
            life: 0,
        };
        let owners = OwnerId::all(plan.owners).map(host).collect();
        let machine = Some(Coordinator::new(plan.clone()).unwrap());
        Self {
            owner_logs: vec![Vec::new(); plan.owners as usize],
            owners,
            coordinator: Host { machine, disk: None, life: 0 },
            plan,
            chaos,
            world,
            rng: seed.derive("simulator", &[]).rng(),
            now: 0,
            order: 0,
            agenda: BTreeMap::new(),
            crashes: 0,
            ending: None,
            power_cut: None,
            events: 0,
            records: Vec::new(),
            log: Vec::new(),
        }
    }

    /// Runs to the end, or panics if there is none within `limit` events.
    pub(crate) fn run(&mut self, limit: u32) -> Ending {
        self.coordinate(Given::Start);
        loop {
            if let Some(ending) = self.ending.take() {
                return ending;
            }
            let Some(((at, _), happening)) = self.agenda.pop_first() else {
                panic!("the job hangs: nothing is left that could happen");
            };
            self.now = at;
            self.events += 1;
            assert!(self.events < limit, "the job does not end");
            if self.power_cut == Some(self.events) {
                self.lose_power();
                continue;
            }
            match happening {
                Happening::Coordinator(event) => self.coordinate(event),
                Happening::Owner(owner, life, event) => self.attend(owner, life, event),
                Happening::Restart(party) => self.restart(party),
            }
        }
    }

    fn chance(&mut self, chance: f64) -> bool {
        self.rng.unit() < chance
    }

    fn later(&mut self, delay: u64, happening: Happening) {
        self.order += 1;
        self.agenda.insert((self.now + delay, self.order), happening);
    }

    fn coordinate(&mut self, event: Given) {
        if self.coordinator.machine.is_none() || self.crashed(Party::Coordinator) {
            return;
        }
        let Some(machine) = &mut self.coordinator.machine else { return };
        let effects = machine.step(Timestamp(self.now), event.event()).unwrap();
        self.log.push((self.now, event));
        for effect in effects {
            match effect {
                CoordinatorEffect::Send { to, message } => {
                    self.post(Party::Owner(to), Party::Coordinator, &message);
                }
                CoordinatorEffect::Wake { at } => {
                    self.later(at.0 - self.now, Happening::Coordinator(Given::Wake));
                }
                CoordinatorEffect::Persist => {
                    let machine = self.coordinator.machine.as_ref();
                    self.coordinator.disk = machine.map(|machine| machine.snapshot().unwrap());
                }
                CoordinatorEffect::Summary { .. } => {
                    let parameters = vec![0.0; self.plan.parameters as usize];
                    self.later(0, Happening::Coordinator(Given::Begin(parameters)));
                }
                CoordinatorEffect::RoundClosed(record) => {
                    self.records.retain(|old| old.round < record.round);
                    self.records.push(record);
                }
                CoordinatorEffect::Finished { parameters } => {
                    self.ending = Some(Ending::Finished(parameters));
                }
                CoordinatorEffect::Failed(error) => self.ending = Some(Ending::Failed(error)),
            }
        }
    }

    /// What `owner` in its `life`-th life hears or has done.
    fn attend(&mut self, owner: OwnerId, life: u32, event: GivenOwner) {
        let heard = matches!(event, GivenOwner::Message(_));
        let host = &self.owners[owner.index()];
        if host.machine.is_none()
            || (!heard && host.life != life)
            || self.crashed(Party::Owner(owner))
        {
            return;
        }
        let Some(machine) = &mut self.owners[owner.index()].machine else { return };
        let effects = machine.step(event.event()).unwrap();
        self.owner_logs[owner.index()].push(event);
        for effect in effects {
            self.participate(owner, effect);
        }
    }

    fn participate(&mut self, owner: OwnerId, effect: ParticipantEffect) {
        let life = self.owners[owner.index()].life;
        match effect {
            ParticipantEffect::Summarise => {
                let sums = vec![f64::from(owner.0); self.plan.statistics as usize];
                self.later(1, Happening::Owner(owner, life, GivenOwner::Summarised(sums)));
            }
            ParticipantEffect::Train(task) => {
                let done = if self.chance(self.chaos.decline) {
                    GivenOwner::Failed(task.id)
                } else {
                    GivenOwner::Trained(task.id, self.world.train(owner, &task))
                };
                let span = self.rng.below(self.chaos.training + 1);
                self.later(span, Happening::Owner(owner, life, done));
            }
            ParticipantEffect::Send(message) => {
                self.post(Party::Coordinator, Party::Owner(owner), &message);
            }
            ParticipantEffect::Persist => {
                let host = &mut self.owners[owner.index()];
                host.disk = host.machine.as_ref().map(|machine| machine.snapshot().unwrap());
            }
            ParticipantEffect::Refused(_) => {}
        }
    }

    fn post(&mut self, to: Party, from: Party, message: &Arc<[u8]>) {
        let copies = if self.chance(self.chaos.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            if self.chance(self.chaos.loss) {
                continue;
            }
            let mut message = Arc::clone(message);
            if self.chance(self.chaos.garbage) {
                let mut bytes = message.to_vec();
                let at = usize::try_from(self.rng.below(bytes.len() as u64)).unwrap();
                bytes[at] ^= 1 << self.rng.below(8);
                message = bytes.into();
            }
            let delay = self.rng.below(self.chaos.latency + 1);
            let happening = match (to, from) {
                (Party::Owner(to), _) => Happening::Owner(to, 0, GivenOwner::Message(message)),
                (_, Party::Owner(from)) => Happening::Coordinator(Given::Message(from, message)),
                _ => return,
            };
            self.later(delay, happening);
        }
    }

    /// Whether `party` crashes instead of doing what it should.
    fn crashed(&mut self, party: Party) -> bool {
        if self.crashes >= self.chaos.crashes || !self.chance(self.chaos.crash) {
            return false;
        }
        self.crashes += 1;
        match party {
            Party::Coordinator => self.coordinator.machine = None,
            Party::Owner(owner) => self.owners[owner.index()].machine = None,
        }
        let pause = self.rng.below(3000);
        self.later(pause, Happening::Restart(party));
        true
    }

    fn lose_power(&mut self) {
        self.agenda.clear();
        self.restart(Party::Coordinator);
        for owner in OwnerId::all(self.plan.owners) {
            self.restart(Party::Owner(owner));
        }
    }

    fn restart(&mut self, party: Party) {
        let plan = self.plan.clone();
        match party {
            Party::Coordinator => {
                let host = &mut self.coordinator;
                host.machine = Some(match &host.disk {
                    Some(disk) => Coordinator::restore(plan, disk).unwrap(),
                    None => Coordinator::new(plan).unwrap(),
                });
                self.coordinate(Given::Restarted);
            }
            Party::Owner(owner) => {
                let host = &mut self.owners[owner.index()];
                host.machine = Some(match &host.disk {
                    Some(disk) => Participant::restore(plan, owner, disk).unwrap(),
                    None => Participant::new(plan, owner).unwrap(),
                });
                host.life += 1;
                let life = host.life;
                self.attend(owner, life, GivenOwner::Restarted);
            }
        }
    }
}
