//! What is sent to which server together.

use std::collections::HashMap;

use fluss_rpc::net::ServerAddress;

/// Look-ups that wait for their turn, by server. One batch is on its way to a server at a time.
#[derive(Debug)]
pub(super) struct Batcher<W> {
    lanes: HashMap<ServerAddress, Lane<W>>,
    most: usize,
}

#[derive(Debug)]
struct Lane<W> {
    busy: bool,
    waiting: Vec<W>,
}

impl<W> Batcher<W> {
    /// Sends at most so many together.
    pub(super) fn new(most: usize) -> Self {
        Self {
            lanes: HashMap::new(),
            most,
        }
    }

    /// Adds one. Returns what is to be sent now: nothing while a batch is on its way to the server.
    pub(super) fn push(&mut self, server: &ServerAddress, want: W) -> Option<Vec<W>> {
        let Some(lane) = self.lanes.get_mut(server) else {
            let lane = Lane {
                busy: true,
                waiting: Vec::new(),
            };
            self.lanes.insert(server.clone(), lane);
            return Some(vec![want]);
        };
        if lane.busy {
            lane.waiting.push(want);
            return None;
        }
        lane.busy = true;
        Some(vec![want])
    }

    /// Takes note that a batch is done. Returns the next, of those that are still `wanted`.
    pub(super) fn next(&mut self, server: &ServerAddress, wanted: impl Fn(&W) -> bool) -> Option<Vec<W>> {
        let lane = self.lanes.get_mut(server)?;
        lane.waiting.retain(wanted);
        lane.busy = !lane.waiting.is_empty();
        if !lane.busy {
            return None;
        }
        let rest = lane.waiting.split_off(self.most.min(lane.waiting.len()));
        Some(std::mem::replace(&mut lane.waiting, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(port: u16) -> ServerAddress {
        ServerAddress {
            host: "h".to_owned(),
            port,
        }
    }

    #[test]
    fn the_first_goes_at_once_and_what_comes_meanwhile_together() {
        let mut batcher = Batcher::new(10);
        assert_eq!(batcher.push(&server(1), 'a'), Some(vec!['a']));
        assert_eq!(batcher.push(&server(1), 'b'), None);
        assert_eq!(batcher.push(&server(1), 'c'), None);
        assert_eq!(
            batcher.push(&server(2), 'd'),
            Some(vec!['d']),
            "another server is idle"
        );
        assert_eq!(batcher.next(&server(1), |_| true), Some(vec!['b', 'c']));
        assert_eq!(batcher.next(&server(1), |_| true), None);
        assert_eq!(batcher.push(&server(1), 'e'), Some(vec!['e']));
    }

    #[test]
    fn what_nobody_waits_for_is_not_sent_and_a_batch_has_a_limit() {
        let mut batcher = Batcher::new(2);
        for want in 0..6 {
            batcher.push(&server(1), want);
        }
        let wanted = |want: &i32| *want != 2;
        assert_eq!(batcher.next(&server(1), wanted), Some(vec![1, 3]));
        assert_eq!(batcher.next(&server(1), wanted), Some(vec![4, 5]));
        assert_eq!(batcher.next(&server(1), wanted), None);
    }
}
