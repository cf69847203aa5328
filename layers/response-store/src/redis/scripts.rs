//! What the server does with a conversation in one step.
//!
//! A conversation is a hash: `o` its owner, `t` the milliseconds since 1970 at its last turn, `m…` what is known of a response, `b…` its body, `x…`
//! a shared text. Of a response is known: `0` or `1` (deleted), the length of the id that it
//! continues, that id, the digests of its shared texts.

use redis::Script;

/// The scripts, each with the conversation as its one key.
pub(super) struct Scripts {
    pub(super) put: Script,
    pub(super) history: Script,
    pub(super) get: Script,
    pub(super) exists: Script,
    pub(super) delete: Script,
    pub(super) size: Script,
    pub(super) remove: Script,
}

impl Default for Scripts {
    fn default() -> Self {
        let with_texts = |script: &str| Script::new(&format!("{TEXTS}\n{script}"));
        Self {
            put: Script::new(PUT),
            history: with_texts(HISTORY),
            get: with_texts(GET),
            exists: Script::new(EXISTS),
            delete: Script::new(DELETE),
            size: Script::new(SIZE),
            remove: Script::new(REMOVE),
        }
    }
}

impl std::fmt::Debug for Scripts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripts")
    }
}

/// 1: written; 0: what it continues has gone; -1: a shared text is not there; -2: not new; -3: too
/// few replicas, which would be waited for in vain. A call that is sent again because its answer was lost does no harm.
const PUT: &str = r"
local key, owner, own, previous, meta = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local wanted = tonumber(ARGV[7])
if wanted > 0 then
  local replicas = string.match(redis.call('INFO', 'replication'), 'connected_slaves:(%d+)')
  if tonumber(replicas or '0') < wanted then return -3 end
end
local has = redis.call('HGET', key, 'o')
if has and has ~= owner then return 0 end
if has and redis.call('HEXISTS', key, 'm' .. own) == 1 then return 1 end
if previous == '' then
  if has then return -2 end
elseif not has or redis.call('HEXISTS', key, 'm' .. previous) == 0 then
  return 0
end
local sent = {}
for i = 8, #ARGV, 2 do sent[ARGV[i]] = ARGV[i + 1] end
for i = 3 + #previous, #meta, 16 do
  local digest = string.sub(meta, i, i + 15)
  if not sent[digest] and redis.call('HEXISTS', key, 'x' .. digest) == 0 then return -1 end
end
for digest, text in pairs(sent) do redis.call('HSETNX', key, 'x' .. digest, text) end
local now = redis.call('TIME')
redis.call('HSET', key, 'o', owner, 'm' .. own, meta, 'b' .. own, ARGV[5],
  't', string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000)))
if ARGV[6] == '0' then redis.call('PERSIST', key) else redis.call('PEXPIRE', key, ARGV[6]) end
return 1
";

/// Reads `meta` of a response that is there for the owner, and its shared texts.
const TEXTS: &str = r"
local key, owner, own = KEYS[1], ARGV[1], ARGV[2]
if redis.call('HGET', key, 'o') ~= owner then return false end
local meta = redis.call('HGET', key, 'm' .. own)
if not meta or string.byte(meta, 1) == 49 then return false end
local missing = {err = 'CORRUPT a part of the conversation is missing'}
local texts = {}
for i = 3 + string.byte(meta, 2), #meta, 16 do
  local digest = string.sub(meta, i, i + 15)
  local text = redis.call('HGET', key, 'x' .. digest)
  if not text then return missing end
  texts[#texts + 1] = digest
  texts[#texts + 1] = text
end
";

const HISTORY: &str = r"
local links = {}
while true do
  local body = redis.call('HGET', key, 'b' .. own)
  if not meta or not body then return missing end
  links[#links + 1] = own
  links[#links + 1] = body
  local length = string.byte(meta, 2)
  if length == 0 then return {links, texts} end
  own = string.sub(meta, 3, 2 + length)
  meta = redis.call('HGET', key, 'm' .. own)
end
";

const GET: &str = r"
local body = redis.call('HGET', key, 'b' .. own)
if not body then return missing end
return {string.sub(meta, 3, 2 + string.byte(meta, 2)), body, texts}
";

const EXISTS: &str = r"
if redis.call('HGET', KEYS[1], 'o') ~= ARGV[1] then return 0 end
local meta = redis.call('HGET', KEYS[1], 'm' .. ARGV[2])
if not meta or string.byte(meta, 1) == 49 then return 0 end
return 1
";

/// What is deleted and has no continuation goes, and so does what is left without by that.
const DELETE: &str = r"
local key, owner, own = KEYS[1], ARGV[1], ARGV[2]
if redis.call('HGET', key, 'o') ~= owner then return 0 end
local meta = redis.call('HGET', key, 'm' .. own)
if not meta or string.byte(meta, 1) == 49 then return 0 end
meta = '1' .. string.sub(meta, 2)
redis.call('HSET', key, 'm' .. own, meta)
local metas, later, left = {}, {}, 0
for _, field in ipairs(redis.call('HKEYS', key)) do
  if string.byte(field, 1) == 109 then
    local found = redis.call('HGET', key, field)
    local previous = string.sub(found, 3, 2 + string.byte(found, 2))
    metas[string.sub(field, 2)] = found
    later[previous] = (later[previous] or 0) + 1
    left = left + 1
  end
end
while own ~= '' do
  local found = metas[own]
  if not found or string.byte(found, 1) ~= 49 or (later[own] or 0) > 0 then break end
  redis.call('HDEL', key, 'm' .. own, 'b' .. own)
  left = left - 1
  own = string.sub(found, 3, 2 + string.byte(found, 2))
  later[own] = (later[own] or 1) - 1
end
if left == 0 then redis.call('UNLINK', key) end
return 1
";

/// Responses, bytes of bodies, bytes of texts.
const SIZE: &str = r"
local count, bodies, texts = 0, 0, 0
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  local kind = string.byte(field, 1)
  if kind == 98 then
    count = count + 1
    bodies = bodies + redis.call('HSTRLEN', KEYS[1], field)
  elseif kind == 120 then
    texts = texts + redis.call('HSTRLEN', KEYS[1], field)
  end
end
return {count, bodies, texts}
";

/// Removes the conversation if it is this owner's (or anybody's) and its last turn was so long ago. -1
/// if not. Of one that an earlier version has written last only the time to live tells that.
const REMOVE: &str = r"
local owner = redis.call('HGET', KEYS[1], 'o')
if not owner or (ARGV[1] ~= '' and owner ~= ARGV[1]) then return -1 end
local older, ttl = tonumber(ARGV[2]), tonumber(ARGV[3])
if older > 0 then
  local age = nil
  local last, left = redis.call('HGET', KEYS[1], 't'), redis.call('PTTL', KEYS[1])
  if last then
    local now = redis.call('TIME')
    age = now[1] * 1000 + math.floor(now[2] / 1000) - tonumber(last)
  end
  if ttl > 0 and left >= 0 then age = math.min(age or math.huge, ttl - left) end
  if not age or age < older then return -1 end
end
local count = 0
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.byte(field, 1) == 98 then count = count + 1 end
end
redis.call('UNLINK', KEYS[1])
return count
";
