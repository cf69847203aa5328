//! A tower Layer that serves previous_response_id from a store.
