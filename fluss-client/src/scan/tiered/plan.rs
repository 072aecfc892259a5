//! From what a server says of tiered segments to stretches of files, in the order in which they are read.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use fluss_rpc::proto::{PbRemoteLogFetchInfo, PbRemoteLogSegment};

use crate::error::StorageError;
use fluss_core::DecodeError;
use fluss_core::id::Offset;

/// A tiered segment: a file of batches, one behind the other (`records.md` §4.2).
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Segment {
    /// The path or URI of the file.
    pub(crate) file: String,
    /// The offsets of its batches.
    pub(crate) offsets: Range<Offset>,
    /// The size of the file.
    pub(crate) bytes: u64,
}

/// A stretch of a segment's file that is read at once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Stretch {
    pub(crate) segment: Arc<Segment>,
    pub(crate) range: Range<u64>,
}

/// What is still to be asked for of the tiered segments that one answer named.
#[derive(Debug)]
pub(crate) struct Plan {
    segments: VecDeque<Arc<Segment>>,
    /// How much of the first segment is not to be asked for (any more).
    position: u64,
    stretch_bytes: u64,
    end: Offset,
}

impl Stretch {
    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.range.end - self.range.start).unwrap_or(usize::MAX)
    }

    /// Whether the next stretch begins another file.
    pub(crate) fn ends_segment(&self) -> bool {
        self.range.end == self.segment.bytes
    }
}

impl Plan {
    /// The plan that follows from an answer to a fetch (`behaviour.md` §4.5): `from` is the wanted offset, if not the
    /// first that there is; no stretch is longer than `stretch_bytes`.
    ///
    /// # Errors
    ///
    /// Segments that leave out wanted offsets, hold none of them, or cannot be.
    pub(crate) fn new(
        info: &PbRemoteLogFetchInfo,
        from: Option<Offset>,
        stretch_bytes: usize,
    ) -> Result<Self, DecodeError> {
        let directory = info.remote_log_tablet_dir.trim_end_matches('/');
        let segments = info.remote_log_segments.iter();
        let segments: VecDeque<_> = segments
            .map(|segment| Segment::new(directory, segment).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let end = reach(&segments, from)?;
        let position = info.first_start_pos.unwrap_or_default();
        let position = u64::try_from(position).map_err(|_| fault(format!("a start at byte {position}")))?;
        let mut plan = Self {
            segments,
            position,
            stretch_bytes: stretch_bytes.max(1) as u64,
            end,
        };
        plan.leave_segments_behind();
        Ok(plan)
    }

    /// Where the log goes on behind the last segment.
    pub(crate) const fn end(&self) -> Offset {
        self.end
    }

    /// The next stretch, which stays the next.
    pub(crate) fn peek(&self) -> Option<Stretch> {
        let segment = self.segments.front()?.clone();
        let end = segment
            .bytes
            .min(self.position.saturating_add(self.stretch_bytes));
        let range = self.position..end;
        Some(Stretch { segment, range })
    }

    /// Steps behind the next stretch.
    pub(crate) fn advance(&mut self) {
        if let Some(stretch) = self.peek() {
            self.position = stretch.range.end;
            self.leave_segments_behind();
        }
    }

    /// Leaves out the segments, but for the first, in which nothing is before this offset.
    pub(crate) fn stop_at(&mut self, offset: Offset) {
        let is_behind = |segment: &Arc<Segment>| segment.offsets.start >= offset;
        while self.segments.len() > 1 && self.segments.back().is_some_and(is_behind) {
            self.segments.pop_back();
        }
        if let Some(last) = self.segments.back() {
            self.end = last.offsets.end;
        }
    }

    /// Leaves out all that has not been asked for, with everything behind it.
    pub(crate) fn clear(&mut self) {
        self.segments.clear();
    }

    fn leave_segments_behind(&mut self) {
        while self
            .segments
            .front()
            .is_some_and(|segment| segment.bytes <= self.position)
        {
            self.segments.pop_front();
            self.position = 0;
        }
    }
}

impl Segment {
    /// What is wrong with the file.
    pub(crate) fn damaged(&self, fault: DecodeError) -> StorageError {
        StorageError::Damaged {
            file: self.file.clone(),
            fault,
        }
    }

    fn new(directory: &str, segment: &PbRemoteLogSegment) -> Result<Self, DecodeError> {
        let id = &segment.remote_log_segment_id;
        let offsets = segment.remote_log_start_offset..segment.remote_log_end_offset;
        let bytes = u64::try_from(segment.segment_size_in_bytes)
            .ok()
            .filter(|bytes| *bytes > 0);
        let is_uuid = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        match bytes {
            Some(bytes) if is_uuid && 0 <= offsets.start && !offsets.is_empty() => Ok(Self {
                file: format!("{directory}/{id}/{:020}.log", offsets.start),
                offsets,
                bytes,
            }),
            _ => Err(fault(format!(
                "a segment '{id}' of {} bytes from {} to {}",
                segment.segment_size_in_bytes, offsets.start, offsets.end
            ))),
        }
    }
}

/// The offset up to which the segments reach without gap.
fn reach(segments: &VecDeque<Arc<Segment>>, from: Option<Offset>) -> Result<Offset, DecodeError> {
    let first = segments.front().ok_or_else(|| fault("no segments"))?;
    let from = from.unwrap_or(first.offsets.start);
    let mut reached = from;
    for Segment { offsets, .. } in segments.iter().map(AsRef::as_ref) {
        if offsets.start > reached {
            return Err(fault(format!(
                "nothing has the offsets {reached} to {}",
                offsets.start
            )));
        }
        reached = reached.max(offsets.end);
    }
    if reached <= from {
        return Err(fault(format!("the segments end before offset {from}")));
    }
    Ok(reached)
}

fn fault(reason: impl Into<String>) -> DecodeError {
    DecodeError::new("remote fetch info", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(start: Offset, end: Offset, bytes: i32) -> PbRemoteLogSegment {
        PbRemoteLogSegment {
            remote_log_segment_id: "0a-1b".to_owned(),
            remote_log_start_offset: start,
            remote_log_end_offset: end,
            segment_size_in_bytes: bytes,
            max_timestamp: None,
        }
    }

    fn info(first_start_pos: i32, segments: &[PbRemoteLogSegment]) -> PbRemoteLogFetchInfo {
        PbRemoteLogFetchInfo {
            remote_log_tablet_dir: "/r/log/d/t-1/0".to_owned(),
            partition_name: None,
            remote_log_segments: segments.to_vec(),
            first_start_pos: Some(first_start_pos),
        }
    }

    fn stretches(mut plan: Plan) -> Vec<(Offset, Range<u64>, bool)> {
        let mut stretches = Vec::new();
        while let Some(stretch) = plan.peek() {
            plan.advance();
            let ends = stretch.ends_segment();
            stretches.push((stretch.segment.offsets.start, stretch.range, ends));
        }
        stretches
    }

    #[test]
    fn files_are_read_from_the_start_that_the_server_names_and_cut_in_stretches() {
        let info = info(4, &[segment(0, 10, 12), segment(10, 20, 5)]);
        let plan = Plan::new(&info, Some(3), 6).unwrap();
        assert_eq!(plan.end(), 20);
        assert_eq!(
            plan.peek().unwrap().segment.file,
            "/r/log/d/t-1/0/0a-1b/00000000000000000000.log"
        );
        let expected = [(0, 4..10, false), (0, 10..12, true), (10, 0..5, true)];
        assert_eq!(stretches(plan), expected);
    }

    #[test]
    fn segments_behind_a_stop_are_left_out() {
        let info = info(0, &[segment(0, 10, 12), segment(10, 20, 5), segment(20, 30, 5)]);
        let mut plan = Plan::new(&info, None, 100).unwrap();
        plan.stop_at(11);
        assert_eq!(plan.end(), 20);
        plan.stop_at(10);
        assert_eq!(plan.end(), 10);
        assert_eq!(stretches(plan), [(0, 0..12, true)]);
    }

    #[test]
    fn a_start_at_the_end_of_a_file_leaves_it_out() {
        let info = info(12, &[segment(0, 10, 12), segment(10, 20, 5)]);
        let plan = Plan::new(&info, None, 100).unwrap();
        assert_eq!(stretches(plan), [(10, 0..5, true)]);
    }

    #[test]
    fn segments_that_would_lose_records_or_lead_nowhere_are_refused() {
        let refused = [
            (info(0, &[]), None, "no segments"),
            (
                info(0, &[segment(5, 9, 1)]),
                Some(4),
                "nothing has the offsets 4 to 5",
            ),
            (
                info(0, &[segment(0, 4, 1), segment(5, 9, 1)]),
                Some(0),
                "nothing has the offsets 4 to 5",
            ),
            (info(0, &[segment(0, 4, 1)]), Some(4), "end before offset 4"),
            (info(-1, &[segment(0, 4, 1)]), None, "byte -1"),
            (info(0, &[segment(0, 4, -1)]), None, "-1 bytes"),
            (info(0, &[segment(0, 4, 0)]), None, " 0 bytes"),
            (info(0, &[segment(4, 4, 1)]), None, "from 4 to 4"),
        ];
        for (info, from, reason) in refused {
            let error = Plan::new(&info, from, 100).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_segment_id_cannot_lead_out_of_the_directory() {
        for id in ["", "..", "../../etc", "a/b"] {
            let mut segment = segment(0, 4, 1);
            segment.remote_log_segment_id = id.to_owned();
            assert!(Plan::new(&info(0, &[segment]), None, 100).is_err(), "{id}");
        }
    }
}
