-- wrk script: replays pre-rendered request bodies, one JSON text per line of the file in BENCH_BODIES. Where a body
-- holds BENCH_UNIQUE, every request gets a text of its own in its place.
local unique, prefix, sent = os.getenv("BENCH_UNIQUE"), os.getenv("BENCH_PREFIX"), 0
local bodies = {}
for line in io.lines(os.getenv("BENCH_BODIES")) do
  local from, to = line:find(unique, 1, true)
  bodies[#bodies + 1] = from and { line:sub(1, from - 1) .. prefix, line:sub(to + 1) } or line
end
local headers = { ["Content-Type"] = "application/json", ["Accept"] = "application/json" }
local authorization = os.getenv("BENCH_AUTHORIZATION")
if authorization and authorization ~= "" then headers["Authorization"] = authorization end
local path = os.getenv("BENCH_PATH")
local at = 0
request = function()
  at = at % #bodies + 1
  local body = bodies[at]
  if type(body) == "table" then
    sent = sent + 1
    body = body[1] .. sent .. body[2]
  end
  return wrk.format("POST", path, headers, body)
end
done = function(summary, latency)
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"errors":%d,"p50_us":%d,"p99_us":%d}\n',
    summary.requests, summary.duration / 1e6,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
