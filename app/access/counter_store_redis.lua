-- SlidingWindow.charge of app/access/sliding_window.py, and concurrency slots, for all replicas:
-- one atomic step, one clock.
-- KEYS: a window (hash of amounts by bucket); optionally the slots in use of its caller (sorted set
-- of requests by when their lease ends).
-- ARGV: milliseconds of a bucket, buckets, rounding, limit, amount, needed;
-- with slots: the request, how many slots there are, milliseconds of a lease.
-- Returns: accepted (0 or 1), used, milliseconds to reset, milliseconds to wait, bucket, slots used.
local bucket_ms, buckets, rounding = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local limit, amount, needed = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local bucket = math.floor(now / bucket_ms)

local amounts, used = {}, 0
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local at = tonumber(fields[i])
  -- In the future: the clock was put back, and the caller would be refused until it is there again.
  if at <= bucket - buckets or at > bucket then
    redis.call('HDEL', KEYS[1], fields[i])
  else
    table.insert(amounts, {at = at, amount = tonumber(fields[i + 1])})
    used = used + tonumber(fields[i + 1])
  end
end
table.sort(amounts, function(a, b) return a.at < b.at end)
local function ends(at)
  return (at + buckets) * bucket_ms - now
end

local left, wait = used, 0
for _, each in ipairs(amounts) do
  if left + needed <= limit + rounding and left < limit then break end
  left = left - each.amount
  wait = ends(each.at)
end
local accepted = wait == 0

local concurrent = 0
if KEYS[2] then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  concurrent = redis.call('ZCARD', KEYS[2])
  accepted = accepted and concurrent < tonumber(ARGV[8])
  if accepted then
    redis.call('ZADD', KEYS[2], now + ARGV[9], ARGV[7])
    redis.call('PEXPIRE', KEYS[2], ARGV[9])
    concurrent = concurrent + 1
  end
end

if accepted and amount > 0 then
  redis.call('HINCRBYFLOAT', KEYS[1], bucket, ARGV[5])
  redis.call('PEXPIRE', KEYS[1], math.ceil(buckets * bucket_ms))
  used = used + amount
  if #amounts == 0 then table.insert(amounts, {at = bucket}) end
end
local reset = amounts[1] and ends(amounts[1].at) or 0
return {
  accepted and 1 or 0, tostring(used), tostring(reset), tostring(wait), tostring(bucket), concurrent
}
