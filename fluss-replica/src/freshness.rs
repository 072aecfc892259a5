//! How new a copy is, as whoever follows knows.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};

use fluss_client::id::{Offset, TableBucket};
use fluss_rpc::sync::Mutex;
use tokio::sync::watch;

use crate::contents::{Applied, Contents};

/// When nothing is known.
const UNKNOWN: i64 = i64::MIN;
/// So many looks at the cluster wait at most until the copy has come to what they have seen.
const MOST_LOOKS: usize = 16;

/// How new a copy is. Whoever waits for it to be newer is woken.
#[derive(Debug)]
pub(crate) struct Freshness {
    as_of: AtomicI64,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Default, Debug)]
struct State {
    applied: BTreeMap<TableBucket, Applied>,
    ends: BTreeMap<TableBucket, Offset>,
    /// What the copy has not come to.
    looks: VecDeque<Look>,
}

/// Where the changelog ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Look {
    /// When the cluster was asked, in milliseconds since the epoch.
    pub(crate) at: i64,
    pub(crate) ends: BTreeMap<TableBucket, Offset>,
}

/// How far the buckets of a copy are behind.
pub(crate) type Behind = Vec<(TableBucket, Applied, Offset)>;

impl Freshness {
    pub(crate) fn new() -> Self {
        Self {
            as_of: AtomicI64::new(UNKNOWN),
            state: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }

    /// All that was stored by then is in the copy; nothing if that is not known.
    pub(crate) fn as_of(&self) -> Option<i64> {
        Some(self.as_of.load(Ordering::Acquire)).filter(|as_of| *as_of != UNKNOWN)
    }

    /// How new the copy is, as whoever follows elsewhere says.
    pub(crate) fn tell(&self, as_of: Option<i64>) {
        self.as_of.store(as_of.unwrap_or(UNKNOWN), Ordering::Release);
    }

    /// What is known of a copy that is begun with.
    pub(crate) fn begin(&self, as_of: Option<i64>, contents: &Contents) {
        let mut state = self.state.lock();
        *state = State::default();
        state.applied = contents.buckets().collect();
        self.tell(as_of);
        drop(state);
        self.changed.send_replace(());
    }

    /// Takes note of what is applied. Returns whether more is known of how new the copy is.
    pub(crate) fn applied(&self, contents: &Contents) -> bool {
        let mut state = self.state.lock();
        state.applied = contents.buckets().collect();
        let is_newer = self.settle(&mut state);
        drop(state);
        self.changed.send_replace(());
        is_newer
    }

    /// Takes note of where the changelog ends. Returns whether more is known of how new the copy is.
    pub(crate) fn looked(&self, look: Look) -> bool {
        let mut state = self.state.lock();
        state.ends.clone_from(&look.ends);
        if state.looks.len() == MOST_LOOKS {
            // The oldest come first.
            state.looks.pop_back();
        }
        state.looks.push_back(look);
        let is_newer = self.settle(&mut state);
        drop(state);
        if is_newer {
            self.changed.send_replace(());
        }
        is_newer
    }

    fn settle(&self, state: &mut State) -> bool {
        let mut is_newer = false;
        while let Some(look) = state.looks.front()
            && is_reached(&state.applied, &look.ends)
        {
            self.as_of.fetch_max(look.at, Ordering::AcqRel);
            state.looks.pop_front();
            is_newer = true;
        }
        is_newer
    }

    /// Where the changelog ended when it was last looked at.
    pub(crate) fn ends(&self) -> BTreeMap<TableBucket, Offset> {
        self.state.lock().ends.clone()
    }

    /// How far each bucket is applied, and where it ends.
    pub(crate) fn behind(&self) -> Behind {
        let state = self.state.lock();
        behind(&state.applied, &state.ends)
    }

    /// Whether the copy has come to these ends.
    pub(crate) fn has_reached(&self, ends: &BTreeMap<TableBucket, Offset>) -> bool {
        is_reached(&self.state.lock().applied, ends)
    }

    /// Tells of changes from now on.
    pub(crate) fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

/// Whether what is applied has come to these ends.
pub(crate) fn is_reached(
    applied: &BTreeMap<TableBucket, Applied>,
    ends: &BTreeMap<TableBucket, Offset>,
) -> bool {
    let reached = |bucket| applied.get(bucket).map_or(0, |applied| applied.offset);
    ends.iter().all(|(bucket, end)| reached(bucket) >= *end)
}

/// How far each bucket is applied, and where it ends.
pub(crate) fn behind(
    applied: &BTreeMap<TableBucket, Applied>,
    ends: &BTreeMap<TableBucket, Offset>,
) -> Behind {
    let of = |(bucket, applied): (&TableBucket, &Applied)| {
        let end = ends.get(bucket).copied().unwrap_or_default();
        (*bucket, *applied, end.max(applied.offset))
    };
    applied.iter().map(of).collect()
}
