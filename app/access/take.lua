-- app/access/sliding_window.py and places, for all replicas: judged and counted at once, by one clock.
-- KEYS: a window (hash of amounts by slot); optionally the places that its caller has (sorted set
-- of who has one, by when the lease ends).
-- ARGV: milliseconds of a slot, slots, limit, amount, needed;
-- with places: who wants one, how many there are, milliseconds of a lease.
-- Answers: accepted (0 or 1), used, milliseconds to reset, milliseconds to wait, slot, places taken.
local slot_ms, slots = tonumber(ARGV[1]), tonumber(ARGV[2])
local limit, amount, needed = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local slot = math.floor(now / slot_ms)

local amounts, used = {}, 0
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local at = tonumber(fields[i])
  if at <= slot - slots then
    redis.call('HDEL', KEYS[1], fields[i])
  else
    table.insert(amounts, {at = at, amount = tonumber(fields[i + 1])})
    used = used + tonumber(fields[i + 1])
  end
end
table.sort(amounts, function(a, b) return a.at < b.at end)
local function ends(at)
  return (at + slots) * slot_ms - now
end

local left, wait = used, 0
for _, each in ipairs(amounts) do
  if left + needed <= limit + 1e-6 and left < limit then break end
  left = left - each.amount
  wait = ends(each.at)
end
local accepted = wait == 0

local places = 0
if KEYS[2] then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  places = redis.call('ZCARD', KEYS[2])
  accepted = accepted and places < tonumber(ARGV[7])
  if accepted then
    redis.call('ZADD', KEYS[2], now + ARGV[8], ARGV[6])
    redis.call('PEXPIRE', KEYS[2], ARGV[8])
    places = places + 1
  end
end

if accepted and amount > 0 then
  redis.call('HINCRBYFLOAT', KEYS[1], slot, ARGV[4])
  redis.call('PEXPIRE', KEYS[1], math.ceil(slots * slot_ms))
  used = used + amount
  if #amounts == 0 then table.insert(amounts, {at = slot}) end
end
local reset = amounts[1] and ends(amounts[1].at) or 0
return {accepted and 1 or 0, tostring(used), tostring(reset), tostring(wait), tostring(slot), places}
