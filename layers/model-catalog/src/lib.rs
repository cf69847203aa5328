//! A tower Layer that answers GET /v1/models for OpenAI clients and for Codex.
