//! The wire protocol of Apache Fluss: frames, messages, error codes, SASL and connections.
