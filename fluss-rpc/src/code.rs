//! The error codes of the protocol: one row each, `rpc.md` §7. Those from 9001 on are of the APIs that only the embedded node
//! has; no server of Apache Fluss sends them.

use std::fmt;

/// What can be done about a failed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retry {
    /// Nothing: the same request fails again.
    No,
    /// Send it again after a pause, a few times: if the answer stays the same, waiting does not change it.
    Briefly,
    /// Send it again after a pause.
    Yes,
    /// Send it again after a pause and a refresh of the metadata: it went to the wrong server.
    RefreshMetadata,
    /// Authenticate again on the same connection after a pause (`rpc.md` §5.3).
    Authenticate,
}

/// The number by which a server names a failure.
///
/// A number that is not in the table keeps its value, but means what `UNKNOWN_SERVER_ERROR` means.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(i32);

/// What a failure means for whoever is told of it, and so what they can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// Something that was named is not there.
    NotFound,
    /// Something that was to be made is there already.
    AlreadyExists,
    /// The user lacks a right.
    Denied,
    /// The user is not known, or the password is wrong.
    Unauthenticated,
    /// An argument or a definition makes no sense here.
    InvalidArgument,
    /// A value or a batch is not what it should be.
    InvalidData,
    /// What is there stands against it: a state that must be another first.
    Conflict,
    /// The server, or this client, does not offer it.
    Unsupported,
    /// A deadline has passed. Of a write it may not be known whether it took effect.
    Timeout,
    /// The server cannot do it now. It may later, or another server may.
    Unavailable,
    /// What is needed was kept for some time, and is gone.
    Expired,
    /// What was called is closed.
    Closed,
    /// The server or the client failed.
    Internal,
}

struct Row {
    name: &'static str,
    retry: Retry,
    outcome: Outcome,
    meaning: &'static str,
}

/// Rows are `number NAME retry outcome, "meaning";`.
macro_rules! codes {
    ($($number:literal $name:ident $retry:ident $outcome:ident, $meaning:literal;)*) => {
        impl ErrorCode {
            $(#[doc = concat!($number, ": ", $meaning)] pub const $name: Self = Self($number);)*

            /// Every known code, in the order of the numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            fn row(self) -> Row {
                match self.0 {
                    $($number => Row { name: stringify!($name), retry: Retry::$retry, outcome: Outcome::$outcome, meaning: $meaning },)*
                    _ => Self::UNKNOWN_SERVER_ERROR.row(),
                }
            }
        }
    };
}

impl ErrorCode {
    /// The code with this number, known or not.
    pub fn from_number(number: i32) -> Self {
        Self(number)
    }

    /// The failure in the `error_code` of a response or of a part of it; absent and 0 both mean success.
    pub fn of(error_code: Option<i32>) -> Option<Self> {
        error_code.map(Self).filter(|code| *code != Self::NONE)
    }

    /// The number on the wire.
    pub fn number(self) -> i32 {
        self.0
    }

    /// The name that the protocol gives it, such as `TABLE_NOT_EXIST`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// What can be done about it.
    pub fn retry(self) -> Retry {
        self.row().retry
    }

    /// What it means for whoever is told of it.
    pub fn outcome(self) -> Outcome {
        self.row().outcome
    }

    /// Whether waiting and trying again can help. Not if it comes of something that only may have gone wrong on the way
    /// ([`Retry::Briefly`]): that was tried again before it is told.
    pub fn is_retriable(self) -> bool {
        !matches!(self.retry(), Retry::No | Retry::Briefly)
    }

    /// What it means, for when the server sends no message: it omits the text that it considers the default.
    pub fn meaning(self) -> &'static str {
        self.row().meaning
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

codes! {
    -1 UNKNOWN_SERVER_ERROR No Internal, "the server failed in a way it has no code for";
    0 NONE No Internal, "success";
    1 NETWORK_EXCEPTION RefreshMetadata Unavailable, "the connection was lost";
    2 UNSUPPORTED_VERSION No Unsupported, "the server does not support this API or version for the table";
    3 CORRUPT_MESSAGE Briefly InvalidData, "a batch has a wrong size, or a row of a primary-key table has no key";
    4 DATABASE_NOT_EXIST No NotFound, "the database does not exist";
    5 DATABASE_NOT_EMPTY No Conflict, "the database has tables";
    6 DATABASE_ALREADY_EXIST No AlreadyExists, "the database already exists";
    7 TABLE_NOT_EXIST No NotFound, "the table does not exist";
    8 TABLE_ALREADY_EXIST No AlreadyExists, "the table already exists";
    9 SCHEMA_NOT_EXIST Yes NotFound, "the table has no schema with this id";
    10 LOG_STORAGE_EXCEPTION Yes Unavailable, "the server could not read or write its log";
    11 KV_STORAGE_EXCEPTION Yes Unavailable, "the server could not read or write its key-value state";
    12 NOT_LEADER_OR_FOLLOWER RefreshMetadata Unavailable, "the server does not lead the bucket";
    13 RECORD_TOO_LARGE No InvalidData, "a batch or record is larger than the server accepts";
    14 CORRUPT_RECORD Briefly InvalidData, "a batch has a wrong checksum or invalid records";
    15 INVALID_TABLE No InvalidArgument, "the table name or definition is invalid";
    16 INVALID_DATABASE No InvalidArgument, "the database name is invalid";
    17 INVALID_REPLICATION_FACTOR No InvalidArgument, "the replication factor is not between 1 and the number of tablet servers";
    18 INVALID_REQUIRED_ACKS No InvalidArgument, "acks is not -1, 0 or 1";
    19 LOG_OFFSET_OUT_OF_RANGE No Expired, "the offset is outside the log";
    20 NON_PRIMARY_KEY_TABLE No InvalidArgument, "the table has no primary key";
    21 UNKNOWN_TABLE_OR_BUCKET RefreshMetadata Unavailable, "the server does not know the table, partition or bucket";
    22 INVALID_UPDATE_VERSION No Conflict, "servers disagree about the replicas of a bucket";
    23 INVALID_COORDINATOR No Unavailable, "the coordinator was replaced";
    24 FENCED_LEADER_EPOCH No Unavailable, "the leader of the bucket was replaced";
    25 REQUEST_TIME_OUT Yes Timeout, "the server did not finish in the time given to it";
    26 STORAGE_EXCEPTION Yes Unavailable, "the storage of the server failed";
    27 OPERATION_NOT_ATTEMPTED No Conflict, "the server skipped the operation";
    28 NOT_ENOUGH_REPLICAS_AFTER_APPEND Yes Unavailable, "the write is stored on fewer replicas than required";
    29 NOT_ENOUGH_REPLICAS Yes Unavailable, "fewer replicas are in sync than the write requires";
    30 SECURITY_TOKEN_EXCEPTION No Internal, "the server could not obtain a token for the file system";
    31 OUT_OF_ORDER_SEQUENCE No Conflict, "a batch before this one is missing";
    32 DUPLICATE_SEQUENCE No Conflict, "the batch is already stored";
    33 UNKNOWN_WRITER_ID No Conflict, "the server has forgotten the writer";
    34 INVALID_COLUMN_PROJECTION No InvalidArgument, "the projected columns are invalid";
    35 INVALID_TARGET_COLUMN No InvalidArgument, "the columns of the partial update are invalid";
    36 PARTITION_NOT_EXISTS No NotFound, "the partition does not exist";
    37 TABLE_NOT_PARTITIONED No InvalidArgument, "the table is not partitioned";
    38 INVALID_TIMESTAMP No InvalidArgument, "the timestamp lies in the future";
    39 INVALID_CONFIG No InvalidArgument, "a table property is invalid";
    40 LAKE_STORAGE_NOT_CONFIGURED No Unsupported, "the cluster has no lake storage";
    41 KV_SNAPSHOT_NOT_EXIST No NotFound, "the snapshot does not exist";
    42 PARTITION_ALREADY_EXISTS No AlreadyExists, "the partition already exists";
    43 PARTITION_SPEC_INVALID No InvalidArgument, "the partition keys or values are invalid";
    44 LEADER_NOT_AVAILABLE RefreshMetadata Unavailable, "the bucket has no leader";
    45 PARTITION_MAX_NUM No Conflict, "the table has the maximum number of partitions";
    46 AUTHENTICATE_EXCEPTION No Unauthenticated, "the client is not authenticated";
    47 SECURITY_DISABLED No Unsupported, "the cluster has no authorizer";
    48 AUTHORIZATION_EXCEPTION No Denied, "the user lacks the permission";
    49 BUCKET_MAX_NUM No InvalidArgument, "the table would have too many buckets";
    50 FENCED_TIERING_EPOCH No Conflict, "the tiering job was replaced";
    51 RETRIABLE_AUTHENTICATE Authenticate Unauthenticated, "authentication failed for the moment";
    52 INVALID_SERVER_RACK_INFO No Internal, "the rack settings of the servers are inconsistent";
    53 LAKE_SNAPSHOT_NOT_EXIST No NotFound, "the lake has no such snapshot";
    54 LAKE_TABLE_ALREADY_EXIST No AlreadyExists, "the lake already has the table";
    55 INELIGIBLE_REPLICA No Conflict, "a replica may not join those in sync";
    56 INVALID_ALTER_TABLE No InvalidArgument, "the table cannot be altered in this way";
    57 DELETION_DISABLED No Unsupported, "the table does not allow deletes";
    58 SERVER_NOT_EXIST No NotFound, "the server does not exist";
    59 SERVER_TAG_ALREADY_EXIST No AlreadyExists, "the server already has the tag";
    60 SERVER_TAG_NOT_EXIST No NotFound, "the server does not have the tag";
    61 REBALANCE_FAILURE No Conflict, "the rebalance could not run";
    62 NO_REBALANCE_IN_PROGRESS No NotFound, "there is no such rebalance";
    63 INVALID_PRODUCER_ID No InvalidArgument, "the producer id is not a valid name";
    64 CONFIG_EXCEPTION No InvalidArgument, "the configuration change was refused";
    65 NOT_COORDINATOR_LEADER RefreshMetadata Unavailable, "the coordinator is not the active one";
    66 SCANNER_EXPIRED No Expired, "the scanner was idle for too long";
    67 UNKNOWN_SCANNER_ID No Expired, "the server does not know the scanner";
    68 INVALID_SCAN_REQUEST No InvalidArgument, "the scan request contradicts itself or came out of order";
    69 TOO_MANY_SCANNERS No Unavailable, "the server has too many open scanners";
    70 DISK_WRITE_LOCKED Yes Unavailable, "the disk of the server is too full for writes";
    71 INSUFFICIENT_KV_LEADER_REPLICA_CAPACITY No Unavailable, "the cluster cannot host more key-value leaders";
    72 STORAGE_BACKPRESSURE Yes Unavailable, "the key-value engine of the server is overloaded";
    73 HISTORICAL_PARTITION_THROTTLED Yes Unavailable, "too many lookups in historical partitions";
    74 INVALID_BUCKET_ROUTING No Conflict, "the bucket was chosen by a number of buckets that is not the one there is";
    9001 USER_NOT_EXIST No NotFound, "the node has no such user";
    9002 USER_ALREADY_EXIST No AlreadyExists, "the node already has the user";
    9003 INVALID_USER No InvalidArgument, "the name or the password is none that a user can have";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_no_gap_and_no_double() {
        let numbers: Vec<i32> = ErrorCode::ALL.iter().map(|code| code.number()).collect();
        assert_eq!(numbers, (-1..=74).chain(9001..=9003).collect::<Vec<_>>());
    }

    #[test]
    fn codes_state_what_can_be_done() {
        let with = |retry: Retry| -> Vec<i32> {
            ErrorCode::ALL
                .iter()
                .filter(|code| code.retry() == retry)
                .map(|code| code.number())
                .collect()
        };
        assert_eq!(with(Retry::Briefly), [3, 14]);
        assert_eq!(with(Retry::Yes), [9, 10, 11, 25, 26, 28, 29, 70, 72, 73]);
        assert_eq!(with(Retry::RefreshMetadata), [1, 12, 21, 44, 65]);
        assert_eq!(with(Retry::Authenticate), [51]);
    }

    #[test]
    fn an_unknown_code_keeps_its_number_and_counts_as_a_server_error() {
        let code = ErrorCode::from_number(4711);
        assert_eq!(code.retry(), ErrorCode::UNKNOWN_SERVER_ERROR.retry());
        assert_eq!(code.meaning(), ErrorCode::UNKNOWN_SERVER_ERROR.meaning());
        assert_eq!(code.to_string(), "UNKNOWN_SERVER_ERROR (4711)");
    }

    #[test]
    fn success_is_absence_or_zero() {
        assert_eq!(ErrorCode::of(None), None);
        assert_eq!(ErrorCode::of(Some(0)), None);
        assert_eq!(ErrorCode::of(Some(12)), Some(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    }
}
