//! The harness of tahr's tests on real servers.
