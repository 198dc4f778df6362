//! Owners, a coordinator and a bad network in virtual time.
//!
//! Owner i trains on the loss `sum_j curvature_ij / 2 (y_j - centre_ij)^2`.

use std::collections::BTreeMap;
use std::sync::Arc;

use borsh::BorshDeserialize;
use nexus_mpc::aggregation::nx::Contribution;
use nexus_mpc::{OVERHEAD_BYTES, Sealed};
use nexus_training::{
    Answer, Coordinator, CoordinatorEffect, CoordinatorEvent, EngineManifest, Identity,
    LocalResult, LocalTask, Member, MemberEffect, Participant, ParticipantEffect, ParticipantEvent,
    Peer, Plan, Restored, RoundRecord, SignedPacketKey, SumRecord, Task, TrainTask, TrainingError,
};
use nexus_types::{Canonical, Digest, MemberId, OwnerId, Party, Seed, SeededRng, Timestamp};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

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
    Message(Peer, Arc<[u8]>),
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
    Summarised(Vec<f64>, u64),
    Trained(nexus_training::TaskId, LocalResult),
    Failed(nexus_training::TaskId),
    Restarted,
}

impl GivenOwner {
    pub(crate) fn event(&self) -> ParticipantEvent<'_> {
        match self {
            Self::Message(bytes) => ParticipantEvent::Message(bytes),
            Self::Summarised(sums, examples) => {
                ParticipantEvent::Summarised { sums: sums.clone(), examples: *examples }
            }
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
    Member(MemberId, Arc<[u8]>),
    Restart(Party),
}

#[derive(Debug)]
struct Host<M> {
    machine: Option<M>,
    disk: Option<Vec<u8>>,
    life: u32,
}

impl<M> Host<M> {
    const fn new(machine: M) -> Self {
        Self { machine: Some(machine), disk: None, life: 0 }
    }
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ending {
    Finished(Vec<f32>),
    Failed(TrainingError),
}

/// The key of a party of a test, by its number; everybody may know it.
pub(crate) fn identity(party: Party) -> Arc<Identity> {
    let secret = match party {
        Party::Coordinator => [1; 32],
        Party::Owner(owner) => nexus_types::Digest::of("test owner", &owner.0.to_le_bytes()).0,
        Party::Member(member) => nexus_types::Digest::of("test member", &member.0.to_le_bytes()).0,
    };
    Arc::new(Identity::from_secret(secret))
}

pub(crate) fn participant(plan: &Plan, owner: OwnerId) -> Participant {
    Participant::new(plan.clone(), owner).unwrap().with_identity(identity(Party::Owner(owner)))
}

pub(crate) fn coordinator(plan: &Plan) -> Coordinator {
    Coordinator::new(plan.clone()).unwrap().with_identity(identity(Party::Coordinator))
}

pub(crate) fn member(plan: &Plan, member: MemberId) -> Member {
    Member::new(plan.clone(), member, identity(Party::Member(member))).unwrap()
}

/// How many members the committee of `plan` has.
pub(crate) fn members(plan: &Plan) -> u16 {
    let members = plan.terms().map_or(0, |terms| terms.engine.members().len());
    u16::try_from(members).unwrap()
}

/// The committee's keys in a task.
fn packet_keys(message: &[u8]) -> Option<Vec<SignedPacketKey>> {
    let (Task::Summarise { manifest, .. } | Task::Train(TrainTask { manifest, .. })) =
        Task::decode(message).ok()?
    else {
        return None;
    };
    match manifest?.manifest.engine {
        EngineManifest::Nx(keys) => keys.into_iter().collect(),
        EngineManifest::SecAggPlus => None,
    }
}

/// An owner's contribution with shares of nought in place of its key's: every packet passes its
/// check, whatever the challenge is, and the sum that it is in cannot be opened.
fn garble(message: &[u8], keys: &[SignedPacketKey], rng: &mut ChaCha12Rng) -> Option<Arc<[u8]>> {
    let Answer::Sum { job, slot, message } = Answer::decode(message).ok()? else { return None };
    let mut sent = Contribution::decode(&message).ok()?;
    let nought = |count: usize, bytes: usize| {
        let count = u32::try_from(count).unwrap().to_le_bytes();
        [&count[..], &vec![0; bytes]].concat()
    };
    // A list of elements of 8 bytes, and a blinding element of 24.
    let row = sent.packets[0].0.len() - OVERHEAD_BYTES - 4;
    let row = nought((row - 24) / 8, row);
    let header = &mut sent.header;
    let coefficients = header.check.coefficients.len();
    header.check =
        BorshDeserialize::try_from_slice(&nought(coefficients, 24 * coefficients)).unwrap();
    let members = (0..).map(MemberId).zip(keys);
    let packets = members.map(|(member, key)| {
        let context = (header.manifest, header.owner, member, header.masked);
        key.key.seal(rng, &borsh::to_vec(&context).unwrap(), &row).unwrap()
    });
    sent.packets = packets.collect();
    let digest = |packet: &Sealed| Digest::of("nexus/mpc/nx/packet digest v1", &packet.0);
    header.packets = sent.packets.iter().map(digest).collect();
    let statement = header.digest().unwrap().0;
    let identity = identity(Party::Owner(header.owner));
    sent.signature = identity.sign("nexus/mpc/nx/header signature v1", &statement);
    let answer = Answer::Sum { job, slot, message: sent.encode().unwrap() };
    Some(answer.encode().unwrap().into())
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
    members: Vec<Host<Member>>,
    /// Where masks come from: never the same twice, even after a restart.
    entropy: ChaCha12Rng,
    crashes: u32,
    ending: Option<Ending>,
    /// An owner that shares another key than it masks with.
    pub(crate) garbler: Option<OwnerId>,
    /// The committee's keys for the newest sum that the garbler was asked for.
    packet_keys: Vec<SignedPacketKey>,
    /// After how many events all parties crash at once, with everything under way.
    pub(crate) power_cut: Option<u32>,
    pub(crate) events: u32,
    pub(crate) records: Vec<RoundRecord>,
    pub(crate) sums: Vec<SumRecord>,
    pub(crate) log: Vec<(u64, Given)>,
    pub(crate) owner_logs: Vec<Vec<GivenOwner>>,
}

impl Simulator {
    pub(crate) fn new(plan: Plan, chaos: Chaos, world: Quadratics, seed: Seed) -> Self {
        let owners = OwnerId::all(plan.owners).map(|id| Host::new(participant(&plan, id)));
        let owners = owners.collect();
        let committee = MemberId::all(members(&plan)).map(|id| Host::new(member(&plan, id)));
        Self {
            owner_logs: vec![Vec::new(); plan.owners as usize],
            owners,
            members: committee.collect(),
            coordinator: Host::new(coordinator(&plan)),
            entropy: ChaCha12Rng::seed_from_u64(seed.derive("entropy", &[]).rng().below(u64::MAX)),
            plan,
            chaos,
            world,
            rng: seed.derive("simulator", &[]).rng(),
            now: 0,
            order: 0,
            agenda: BTreeMap::new(),
            crashes: 0,
            ending: None,
            garbler: None,
            packet_keys: Vec::new(),
            power_cut: None,
            events: 0,
            records: Vec::new(),
            sums: Vec::new(),
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
                Happening::Member(member, message) => self.serve(member, &message),
                Happening::Restart(party) => self.restart(party),
            }
        }
    }

    pub(crate) const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The sums of the statistics stage.
    pub(crate) fn summary(&self) -> &[f64] {
        self.coordinator.machine.as_ref().unwrap().summary()
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
                    let to = match to {
                        Peer::Owner(owner) => Party::Owner(owner),
                        Peer::Member(member) => Party::Member(member),
                    };
                    self.post(to, Party::Coordinator, &message.into_bytes());
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
                CoordinatorEffect::Summed(record) => {
                    let slot = |record: &SumRecord| record.manifest.manifest.slot;
                    self.sums.retain(|old| slot(old) < slot(&record));
                    self.sums.push(record);
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
        if let (GivenOwner::Message(message), true) = (&event, self.garbler == Some(owner)) {
            self.packet_keys = packet_keys(message).unwrap_or_else(|| self.packet_keys.clone());
        }
        let Some(machine) = &mut self.owners[owner.index()].machine else { return };
        let effects = machine.step(&mut self.entropy, event.event()).unwrap();
        self.owner_logs[owner.index()].push(event);
        for effect in effects {
            self.participate(owner, effect);
        }
    }

    fn serve(&mut self, member: MemberId, message: &[u8]) {
        if self.crashed(Party::Member(member)) {
            return;
        }
        let host = &mut self.members[member.index()];
        let Some(machine) = &mut host.machine else { return };
        for effect in machine.step(&mut self.entropy, message).unwrap() {
            match effect {
                MemberEffect::Persist => {
                    let host = &mut self.members[member.index()];
                    host.disk = host.machine.as_ref().map(|machine| machine.snapshot().unwrap());
                }
                MemberEffect::Send(message) => {
                    self.post(Party::Coordinator, Party::Member(member), &message.into_bytes());
                }
                MemberEffect::Expire { .. } | MemberEffect::Refused(_) => {}
            }
        }
    }

    fn participate(&mut self, owner: OwnerId, effect: ParticipantEffect) {
        let life = self.owners[owner.index()].life;
        match effect {
            ParticipantEffect::Summarise => {
                let sums = vec![f64::from(owner.0); self.plan.statistics as usize];
                let done = GivenOwner::Summarised(sums, 10 + u64::from(owner.0));
                self.later(1, Happening::Owner(owner, life, done));
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
                let mut message = message.into_bytes();
                if self.garbler == Some(owner)
                    && let Some(garbled) = garble(&message, &self.packet_keys, &mut self.entropy)
                {
                    message = garbled;
                }
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
                (Party::Member(to), _) => Happening::Member(to, message),
                (_, Party::Owner(from)) => {
                    Happening::Coordinator(Given::Message(Peer::Owner(from), message))
                }
                (_, Party::Member(from)) => {
                    Happening::Coordinator(Given::Message(Peer::Member(from), message))
                }
                (Party::Coordinator, Party::Coordinator) => return,
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
            Party::Member(member) => self.members[member.index()].machine = None,
        }
        let pause = self.rng.below(3000);
        self.later(pause, Happening::Restart(party));
        true
    }

    fn lose_power(&mut self) {
        self.agenda.clear();
        self.restart(Party::Coordinator);
        for member in MemberId::all(members(&self.plan)) {
            self.restart(Party::Member(member));
        }
        for owner in OwnerId::all(self.plan.owners) {
            self.restart(Party::Owner(owner));
        }
    }

    fn restart(&mut self, party: Party) {
        let plan = self.plan.clone();
        match party {
            Party::Coordinator => {
                let host = &mut self.coordinator;
                let machine = match &host.disk {
                    Some(disk) => Coordinator::restore(plan, disk).unwrap(),
                    None => Coordinator::new(plan).unwrap(),
                };
                host.machine = Some(machine.with_identity(identity(party)));
                self.coordinate(Given::Restarted);
            }
            Party::Owner(owner) => {
                let host = &mut self.owners[owner.index()];
                host.machine = Some(match &host.disk {
                    Some(disk) => {
                        Participant::restore(plan, owner, Some(identity(party)), disk).unwrap()
                    }
                    None => participant(&plan, owner),
                });
                host.life += 1;
                let life = host.life;
                self.attend(owner, life, GivenOwner::Restarted);
            }
            Party::Member(id) => {
                let host = &mut self.members[id.index()];
                let restored = Restored::Continued;
                host.machine = Some(match &host.disk {
                    Some(disk) => {
                        Member::restore(plan, id, identity(party), disk, restored).unwrap()
                    }
                    None => member(&plan, id),
                });
            }
        }
    }
}
