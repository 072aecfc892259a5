//! What is sent to which server together.

use std::collections::{HashMap, VecDeque};

use fluss_rpc::net::ServerAddress;

/// Look-ups that wait for their turn, by server.
///
/// Whoever finds nothing on its way to a server asks it alone. While somebody does, the next to come begins a lane: one
/// batch on its way after the other, each of all that have come meanwhile, until nothing waits. A lane waits for nobody
/// but the server, so that one who asks alone and is held up holds nobody else up.
///
/// A server in the same process has answered before the next look-up comes, however many want to come. So one of
/// [`LONE`] answered at once opens a lane that lets others come first; as long as lanes find company, all do.
#[derive(Debug)]
pub(super) struct Batcher<W> {
    lanes: HashMap<ServerAddress, Lane<W>>,
    limits: Limits,
}

/// How many look-ups one after the other are answered at once until one tries whether there are others beside it.
const LONE: u32 = 64;

/// The most of one batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How many keys.
    pub(super) keys: usize,
    /// The bytes of keys, unless a single one is larger.
    pub(super) bytes: usize,
}

/// What becomes of a look-up.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Entry<W> {
    /// Nothing is on its way: it is sent by itself, until [`leave`](Batcher::leave).
    Alone,
    /// It is sent as the first batch of a lane, which goes on with [`next`](Batcher::next).
    Lane(W),
    /// It goes with the first batch of a lane, which begins with [`next`](Batcher::next) after others could come.
    Gathers,
    /// It goes with a batch of the lane.
    Waits,
}

#[derive(Debug)]
struct Lane<W> {
    alone: bool,
    open: bool,
    /// The lane has not sent anything since it let others come.
    gathers: bool,
    /// How many look-ups were answered at once since the last that had company.
    lone: u32,
    waiting: VecDeque<W>,
}

impl<W> Default for Lane<W> {
    fn default() -> Self {
        Self {
            alone: false,
            open: false,
            gathers: false,
            lone: 0,
            waiting: VecDeque::new(),
        }
    }
}

impl<W> Batcher<W> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            lanes: HashMap::new(),
            limits,
        }
    }

    /// Adds one.
    pub(super) fn enter(&mut self, server: &ServerAddress, want: W) -> Entry<W> {
        let Some(lane) = self.lanes.get_mut(server) else {
            let lane = Lane {
                alone: true,
                ..Lane::default()
            };
            self.lanes.insert(server.clone(), lane);
            return Entry::Alone;
        };
        if lane.open {
            lane.waiting.push_back(want);
            Entry::Waits
        } else if lane.alone {
            lane.open = true;
            Entry::Lane(want)
        } else if lane.lone >= LONE {
            (lane.open, lane.gathers) = (true, true);
            lane.waiting.push_back(want);
            Entry::Gathers
        } else {
            lane.alone = true;
            Entry::Alone
        }
    }

    /// Takes note that the one who was alone is done, and whether the answer was there at once.
    pub(super) fn leave(&mut self, server: &ServerAddress, at_once: bool) {
        if let Some(lane) = self.lanes.get_mut(server) {
            lane.alone = false;
            lane.lone = if at_once { lane.lone + 1 } else { 0 };
        }
    }

    /// The next batch of a lane, of those whose `size` tells that they are still wanted. Nothing ends the lane.
    pub(super) fn next(
        &mut self,
        server: &ServerAddress,
        size: impl Fn(&W) -> Option<usize>,
    ) -> Option<Vec<W>> {
        let Limits { keys, bytes } = self.limits;
        let lane = self.lanes.get_mut(server)?;
        let (mut batch, mut taken) = (Vec::with_capacity(lane.waiting.len().min(keys)), 0);
        while let Some(want) = lane.waiting.pop_front() {
            let Some(size) = size(&want) else { continue };
            if !batch.is_empty() && (batch.len() >= keys || taken + size > bytes) {
                lane.waiting.push_front(want);
                break;
            }
            taken += size;
            batch.push(want);
        }
        if std::mem::take(&mut lane.gathers) && batch.len() <= 1 {
            lane.lone = 0;
        }
        lane.open = !batch.is_empty();
        lane.open.then_some(batch)
    }

    /// Puts a batch back before those that wait, and makes those of every lane smaller: its answer is too large.
    pub(super) fn put_back(&mut self, server: &ServerAddress, batch: Vec<W>) {
        self.shrink(batch.len());
        let lane = self.lanes.entry(server.clone()).or_default();
        for want in batch.into_iter().rev() {
            lane.waiting.push_front(want);
        }
    }

    /// Makes batches smaller than this many keys.
    pub(super) fn shrink(&mut self, keys: usize) {
        self.limits.keys = self.limits.keys.min(keys / 4).max(1);
    }

    pub(super) const fn limits(&self) -> Limits {
        self.limits
    }

    /// Ends a lane that nobody drives any more. Returns who waits in vain.
    pub(super) fn abandon(&mut self, server: &ServerAddress) -> VecDeque<W> {
        let lane = self.lanes.get_mut(server);
        lane.map_or_else(VecDeque::new, |lane| {
            (lane.open, lane.gathers) = (false, false);
            std::mem::take(&mut lane.waiting)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(port: u16) -> ServerAddress {
        ServerAddress::new("h".to_owned(), port)
    }

    fn batcher(keys: usize, bytes: usize) -> Batcher<i32> {
        Batcher::new(Limits { keys, bytes })
    }

    const ONE_BYTE: fn(&i32) -> Option<usize> = |_| Some(1);

    /// A batcher with an open lane, in which these wait.
    fn waiting(keys: usize, bytes: usize, wants: impl IntoIterator<Item = i32>) -> Batcher<i32> {
        let mut batcher = batcher(keys, bytes);
        batcher.enter(&server(1), -1);
        batcher.enter(&server(1), -2);
        for want in wants {
            assert_eq!(batcher.enter(&server(1), want), Entry::Waits);
        }
        batcher
    }

    #[test]
    fn one_after_the_other_each_is_sent_alone() {
        let mut batcher = batcher(10, 10);
        for want in 0..3 {
            assert_eq!(batcher.enter(&server(1), want), Entry::Alone);
            batcher.leave(&server(1), false);
        }
    }

    #[test]
    fn what_comes_while_something_is_on_its_way_goes_together() {
        let mut batcher = batcher(10, 10);
        assert_eq!(batcher.enter(&server(1), 0), Entry::Alone);
        assert_eq!(
            batcher.enter(&server(1), 1),
            Entry::Lane(1),
            "whoever is alone may be held up"
        );
        assert_eq!(batcher.enter(&server(1), 2), Entry::Waits);
        assert_eq!(
            batcher.enter(&server(2), 3),
            Entry::Alone,
            "another server is idle"
        );
        batcher.leave(&server(1), false);
        assert_eq!(batcher.enter(&server(1), 4), Entry::Waits, "the lane is open");
        assert_eq!(batcher.next(&server(1), ONE_BYTE), Some(vec![2, 4]));
        assert_eq!(batcher.next(&server(1), ONE_BYTE), None);
        assert_eq!(batcher.enter(&server(1), 5), Entry::Alone);
    }

    /// A batcher of which so many look-ups were answered at once.
    fn answered_at_once(times: u32) -> Batcher<i32> {
        let mut batcher = batcher(10, 10);
        for _ in 0..times {
            assert_eq!(batcher.enter(&server(1), 0), Entry::Alone);
            batcher.leave(&server(1), true);
        }
        batcher
    }

    #[test]
    fn after_many_answers_at_once_one_lets_others_come() {
        let mut batcher = answered_at_once(LONE);
        assert_eq!(batcher.enter(&server(1), 1), Entry::Gathers);
        assert_eq!(batcher.enter(&server(1), 2), Entry::Waits);
        assert_eq!(batcher.next(&server(1), ONE_BYTE), Some(vec![1, 2]));
        assert_eq!(batcher.next(&server(1), ONE_BYTE), None);
        assert_eq!(batcher.enter(&server(1), 3), Entry::Gathers, "there was company");
        assert_eq!(batcher.next(&server(1), ONE_BYTE), Some(vec![3]));
        assert_eq!(batcher.next(&server(1), ONE_BYTE), None);
        assert_eq!(batcher.enter(&server(1), 4), Entry::Alone, "there was none");
    }

    #[test]
    fn an_answer_that_takes_time_lets_others_come_anyway() {
        let mut batcher = answered_at_once(LONE - 1);
        batcher.enter(&server(1), 0);
        batcher.leave(&server(1), false);
        assert_eq!(batcher.enter(&server(1), 1), Entry::Alone);
    }

    #[test]
    fn what_nobody_waits_for_is_not_sent() {
        let mut batcher = waiting(2, 10, 0..6);
        let wanted = |want: &i32| (*want != 2).then_some(1);
        assert_eq!(batcher.next(&server(1), wanted), Some(vec![0, 1]));
        assert_eq!(batcher.next(&server(1), wanted), Some(vec![3, 4]));
        assert_eq!(batcher.next(&server(1), |_| None), None, "nobody is left");
        assert_eq!(batcher.enter(&server(1), 7), Entry::Lane(7));
    }

    #[test]
    fn a_batch_has_limits_of_keys_and_bytes_but_takes_one_of_any_size() {
        let size = |want: &i32| usize::try_from(*want).ok();
        let mut batcher = waiting(3, 10, [1, 1, 1, 1, 10, 99]);
        assert_eq!(batcher.next(&server(1), size), Some(vec![1, 1, 1]));
        assert_eq!(batcher.next(&server(1), size), Some(vec![1]));
        assert_eq!(batcher.next(&server(1), size), Some(vec![10]));
        assert_eq!(batcher.next(&server(1), size), Some(vec![99]));
        assert_eq!(batcher.next(&server(1), size), None);
    }

    #[test]
    fn a_batch_whose_answer_is_too_large_is_sent_again_in_smaller_ones() {
        let mut batcher = waiting(100, 100, 0..8);
        let batch = batcher.next(&server(1), ONE_BYTE).unwrap();
        batcher.enter(&server(1), 8);
        batcher.put_back(&server(1), batch);
        assert_eq!(batcher.next(&server(1), ONE_BYTE), Some(vec![0, 1]));
        batcher.put_back(&server(1), vec![0, 1]);
        assert_eq!(batcher.next(&server(1), ONE_BYTE), Some(vec![0]));
        assert_eq!(batcher.limits().keys, 1);
    }

    #[test]
    fn an_abandoned_lane_begins_anew() {
        let mut batcher = waiting(10, 10, [1, 2]);
        assert_eq!(batcher.abandon(&server(1)), [1, 2]);
        assert_eq!(batcher.enter(&server(1), 3), Entry::Lane(3));
        assert_eq!(batcher.next(&server(1), ONE_BYTE), None);
    }
}
