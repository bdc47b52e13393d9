-- Compares, checks, then writes: all of it or nothing.
--
-- KEYS[1]  the checkpoint's hash
-- ARGV[1]  field of it that guards the call ('' for none), ARGV[2] its expected value ('': absent)
-- ARGV[3]  milliseconds that written keys live, or ''
-- ARGV[4]  packed {field, value or false, ...}: changes of the checkpoint, false removes the field
-- then per block of rows three packed arrays: {what, field, ...}, {key, ...}, {value, ...}
--   full   rows of a hash: exactly these fields
--   load   the same where the keys are known to be new
--   part   some fields of hashes that exist: {values per row, value, ...}; fields beyond those go
--   set    strings
--   touch  keys that get a new time to live
--   del    keys that end
--
-- Answers {'moved', found} | {'type', block, row, type} | {'stored', missed}.
local call, unpacked, ttl = redis.call, cmsgpack.unpack, ARGV[3]

if ARGV[1] ~= '' then
  local found = call('HGET', KEYS[1], ARGV[1])
  if (found or '') ~= ARGV[2] then return {'moved', found} end
end

local blocks = {}
for a = 5, #ARGV, 3 do
  local header, keys = unpacked(ARGV[a]), unpacked(ARGV[a + 1])
  local block = {what = header[1], header = header, keys = keys}
  blocks[#blocks + 1] = block
  if block.what == 'full' or block.what == 'part' then
    -- Most often none exists, which one call tells.
    block.fresh = call('EXISTS', unpack(keys)) == 0
    if not block.fresh then
      local lengths = {}
      for i = 1, #keys do
        local length = redis.pcall('HLEN', keys[i])
        if type(length) ~= 'number' then
          local found = call('TYPE', keys[i]).ok
          if found == 'hash' then return length end
          return {'type', #blocks, i, found}
        end
        lengths[i] = length
      end
      block.lengths = lengths
    end
  end
end

-- A function that calls HSET for the values behind place `at`. Compiling one pays for many rows.
local function setter(header, rows)
  local width = #header - 1
  if rows < 16 or width > 60 then
    return function(key, values, at)
      local args = {'HSET', key}
      for i = 1, width do
        args[2 * i + 1], args[2 * i + 2] = header[i + 1], values[at + i]
      end
      return call(unpack(args))
    end
  end
  local args = {}
  for i = 1, width do args[i] = string.format(',%q,v[p+%d]', header[i + 1], i) end
  return loadstring('local call=... return function(k,v,p) return call("HSET",k'
    .. table.concat(args) .. ') end')(call)
end

local missed = 0
local function expire(key)
  if ttl ~= '' then call('PEXPIRE', key, ttl) end
end

local write = {}

function write.load(block, values)
  local set, width = setter(block.header, #block.keys), #block.header - 1
  for i, key in ipairs(block.keys) do
    set(key, values, (i - 1) * width)
    expire(key)
  end
end

function write.full(block, values)
  if block.fresh then return write.load(block, values) end
  local set, width = setter(block.header, #block.keys), #block.header - 1
  for i, key in ipairs(block.keys) do
    local at = (i - 1) * width
    local length = block.lengths[i] + set(key, values, at)
    -- More fields than the row has: columns that are null now, or are no more.
    if length ~= width then
      call('DEL', key)
      set(key, values, at)
    end
    expire(key)
  end
end

function write.part(block, values)
  local header, width = block.header, values[1]
  local gone = #header - 1 - width
  for i, key in ipairs(block.keys) do
    if block.fresh or block.lengths[i] == 0 then
      missed = missed + 1
    else
      if width > 0 then
        local args = {'HSET', key}
        for n = 1, width do
          args[2 * n + 1], args[2 * n + 2] = header[n + 1], values[1 + (i - 1) * width + n]
        end
        call(unpack(args))
      end
      if gone > 0 then call('HDEL', key, unpack(header, width + 2)) end
      expire(key)
    end
  end
end

function write.set(block, values)
  for i, key in ipairs(block.keys) do
    if ttl ~= '' then call('SET', key, values[i], 'PX', ttl) else call('SET', key, values[i]) end
  end
end

function write.touch(block)
  for _, key in ipairs(block.keys) do
    if call('EXISTS', key) == 0 then missed = missed + 1 else expire(key) end
  end
end

function write.del(block)
  call('UNLINK', unpack(block.keys))
end

for b, block in ipairs(blocks) do
  write[block.what](block, unpacked(ARGV[4 + 3 * b]))
end

local changes = unpacked(ARGV[4])
for i = 1, #changes, 2 do
  if changes[i + 1] then
    call('HSET', KEYS[1], changes[i], changes[i + 1])
  else
    call('HDEL', KEYS[1], changes[i])
  end
end
return {'stored', missed}
