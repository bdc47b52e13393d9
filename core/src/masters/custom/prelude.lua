-- What a file of conflict code finds in its world. Everything here gives the same result for the
-- same input, in this process and in the next, and ends: what looks at a clock, at addresses or at
-- the outside is missing, and what would work in C beyond all bounds is written in Lua, where its
-- instructions are counted, or asks `native`, which counts its own. Errors have no position here:
-- they get that of the file's line which led to them.
local native = ...
local error, getmetatable, rawget, rawset, select, setmetatable, tonumber, type =
  error, getmetatable, rawget, rawset, select, setmetatable, tonumber, type
local next, plain = next, tostring
local string, table, math = string, table, math
-- As fields, so that errors call them by their names.
local lua = { find = string.find, format = string.format, gsub = string.gsub, rep = string.rep }
local lua_sub = string.sub
local concat, pack, unpack = table.concat, table.pack, table.unpack
local NULL = native.null

local function wrong(index, name, wanted, value)
  local got = value == nil and "nothing" or type(value)
  error("bad argument #" .. index .. " to '" .. name .. "' (" .. wanted .. " expected, got " .. got .. ")", 0)
end

-- Addresses differ from process to process, so nothing shows them.
local function tostring(value)
  local kind = type(value)
  if value == NULL then return "NULL" end
  if kind == "nil" or kind == "boolean" or kind == "number" or kind == "string" then
    return plain(value)
  end
  return kind
end

-- Stable, and in an order that only the values decide.
local function sort(list, less)
  if type(list) ~= "table" then wrong(1, "sort", "table", list) end
  if less ~= nil and type(less) ~= "function" then wrong(2, "sort", "function", less) end
  local count = #list
  local from, to = {}, {}
  for i = 1, count do from[i] = list[i] end
  local width = 1
  while width < count do
    for low = 1, count, 2 * width do
      local middle, high = low + width, low + 2 * width
      if middle > count + 1 then middle = count + 1 end
      if high > count + 1 then high = count + 1 end
      local left, right = low, middle
      for place = low, high - 1 do
        local is_right
        if left >= middle then
          is_right = true
        elseif right >= high then
          is_right = false
        elseif less then
          is_right = less(from[right], from[left])
        else
          is_right = from[right] < from[left]
        end
        if is_right then
          to[place] = from[right]
          right = right + 1
        else
          to[place] = from[left]
          left = left + 1
        end
      end
    end
    from, to = to, from
    width = 2 * width
  end
  for i = 1, count do list[i] = from[i] end
end

-- The keys of a table in order: numbers, then text by its bytes, then booleans.
local function keys(of, name)
  local numbers, texts, truths = {}, {}, {}
  local count, is_list = 0, true
  for key in next, of do
    local kind = type(key)
    if kind == "number" then
      count = count + 1
      numbers[count] = key
      is_list = is_list and key == count
    elseif kind == "string" then
      texts[#texts + 1] = key
    elseif kind == "boolean" then
      truths[#truths + 1] = key
    else
      error("'" .. name .. "' has no order for keys that are a " .. kind, 0)
    end
  end
  if not is_list then sort(numbers) end
  sort(texts)
  for i = 1, #texts do numbers[count + i] = texts[i] end
  count = #numbers
  sort(truths, function(a, b) return not a and b end)
  for i = 1, #truths do numbers[count + i] = truths[i] end
  return numbers
end

local function pairs(of)
  if type(of) ~= "table" then wrong(1, "pairs", "table", of) end
  local all, place = keys(of, "pairs"), 0
  return function()
    while true do
      place = place + 1
      local key = all[place]
      if key == nil then return nil end
      local value = rawget(of, key)
      if value ~= nil then return key, value end
    end
  end, of, nil
end

local function following(of, after)
  if type(of) ~= "table" then wrong(1, "next", "table", of) end
  if after == nil and next(of) == nil then return nil end
  local is_here = after == nil
  for _, key in ipairs(keys(of, "next")) do
    if is_here then return key, rawget(of, key) end
    is_here = key == after
  end
  return nil
end

-- Strings.

local function text(value, index, name)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" then return plain(value) end
  local got = value == nil and "nothing" or kind
  error("bad argument #" .. index .. " to '" .. name .. "' (string expected, got " .. got .. ")", 0)
end

local function whole(value, default, index, name)
  if value == nil then return default end
  local number = tonumber(value)
  local integer = number and math.tointeger(number)
  if not integer then
    error("bad argument #" .. index .. " to '" .. name .. "' (a whole number expected)", 0)
  end
  return integer
end

local function beginning(init, length)
  if init > 0 then return init end
  if init == 0 or init < -length then return 1 end
  return length + init + 1
end

local function caught(name, first, ...)
  if first == false then error((...), 0) end
  return first, ...
end

local function find(s, pattern, init, is_plain)
  s, pattern = text(s, 1, "find"), text(pattern, 2, "find")
  init = beginning(whole(init, 1, 3, "find"), #s)
  return caught("find", native.find(s, pattern, init, not not is_plain, true))
end

local function groups(s, first, last, ...)
  if not first then return nil end
  if select("#", ...) == 0 then return lua_sub(s, first, last) end
  return ...
end

local function match(s, pattern, init)
  s, pattern = text(s, 1, "match"), text(pattern, 2, "match")
  init = beginning(whole(init, 1, 3, "match"), #s)
  return groups(s, caught("match", native.find(s, pattern, init, false, true)))
end

local function gmatch(s, pattern, init)
  s, pattern = text(s, 1, "gmatch"), text(pattern, 2, "gmatch")
  local at, before = beginning(whole(init, 1, 3, "gmatch"), #s), nil
  local function step(first, last, ...)
    if not first then
      at = #s + 2
      return nil
    end
    at, before = last + 1, last
    return groups(s, first, last, ...)
  end
  return function()
    return step(caught("gmatch", native.find(s, pattern, at, false, false, before)))
  end
end

local function replaced(whole_match, by, kind, ...)
  local first = (...)
  if select("#", ...) == 0 then first = whole_match end
  local value
  if kind == "table" then
    value = by[first]
  elseif kind == "function" then
    if select("#", ...) == 0 then value = by(whole_match) else value = by(...) end
  else
    local groups_found = pack(...)
    local parts, count, at = {}, 0, 1
    while true do
      local mark = lua.find(by, "%", at, true)
      if not mark then break end
      local digit = lua_sub(by, mark + 1, mark + 1)
      local part
      if digit == "%" then
        part = "%"
      elseif digit == "0" then
        part = whole_match
      elseif digit == "1" and groups_found.n == 0 then
        part = whole_match
      else
        local index = tonumber(digit)
        if not index then error("invalid use of '%' in replacement string", 0) end
        part = groups_found[index]
        if part == nil then error("invalid capture index %" .. digit .. " in replacement string", 0) end
      end
      parts[count + 1], parts[count + 2] = lua_sub(by, at, mark - 1), part
      count, at = count + 2, mark + 2
    end
    parts[count + 1] = lua_sub(by, at)
    return concat(parts)
  end
  if not value then return whole_match end
  local result = type(value)
  if result ~= "string" and result ~= "number" then
    error("invalid replacement value (a " .. result .. ")", 0)
  end
  return value
end

local function gsub(s, pattern, by, most)
  s, pattern = text(s, 1, "gsub"), text(pattern, 2, "gsub")
  local kind = type(by)
  if kind == "number" then by, kind = plain(by), "string" end
  if kind ~= "string" and kind ~= "table" and kind ~= "function" then
    wrong(3, "gsub", "string/function/table", by)
  end
  most = whole(most, #s + 1, 4, "gsub")
  local is_tied = lua_sub(pattern, 1, 1) == "^"
  local parts, used, at, before, count = {}, 0, 1, nil, 0
  local function step(first, last, ...)
    if not first then return false end
    count = count + 1
    parts[used + 1] = lua_sub(s, at, first - 1)
    parts[used + 2] = replaced(lua_sub(s, first, last), by, kind, ...)
    used, at, before = used + 2, last + 1, last
    return not is_tied
  end
  while count < most and step(caught("gsub", native.find(s, pattern, at, false, true, before))) do
  end
  parts[used + 1] = lua_sub(s, at)
  return concat(parts), count
end

local function rep(s, count, separator)
  s, count = text(s, 1, "rep"), whole(count, 0, 2, "rep")
  separator = separator == nil and "" or text(separator, 3, "rep")
  if count > 0 and (#s + #separator) * (count + 0.0) > native.most then
    error("the resulting string takes more than the memory that there is", 0)
  end
  return lua.rep(s, count, separator)
end

local function format(pattern, ...)
  pattern = text(pattern, 1, "format")
  if lua.find(lua.gsub(pattern, "%%%%", ""), "%%[-+ #0-9.]*p") then
    error("'%p' shows addresses, which are never twice the same", 0)
  end
  local values = pack(...)
  for i = 1, values.n do
    local kind = type(values[i])
    if kind == "table" or kind == "function" or kind == "userdata" then
      values[i] = tostring(values[i])
    end
  end
  return lua.format(pattern, unpack(values, 1, values.n))
end

-- Lists.

local function insert(list, ...)
  if type(list) ~= "table" then wrong(1, "insert", "table", list) end
  local count, arguments = #list, select("#", ...)
  if arguments == 1 then
    list[count + 1] = (...)
    return
  end
  if arguments ~= 2 then error("wrong number of arguments to 'insert'", 0) end
  local place, value = ...
  place = whole(place, nil, 2, "insert")
  if not place or place < 1 or place > count + 1 then
    error("bad argument #2 to 'insert' (position out of bounds)", 0)
  end
  for i = count, place, -1 do list[i + 1] = list[i] end
  list[place] = value
end

local function remove(list, place)
  if type(list) ~= "table" then wrong(1, "remove", "table", list) end
  local count = #list
  place = whole(place, count, 2, "remove")
  if count + 1 ~= place and count ~= place and (place < 1 or place > count + 1) then
    error("bad argument #2 to 'remove' (position out of bounds)", 0)
  end
  local value = list[place]
  for i = place, count - 1 do list[i] = list[i + 1] end
  if place < count then place = count end
  list[place] = nil
  return value
end

local function move(from, first, last, place, to)
  if type(from) ~= "table" then wrong(1, "move", "table", from) end
  to = to == nil and from or to
  if type(to) ~= "table" then wrong(5, "move", "table", to) end
  first, last = whole(first, nil, 2, "move"), whole(last, nil, 3, "move")
  place = whole(place, nil, 4, "move")
  if not (first and last and place) then error("'move' needs three places", 0) end
  if place > last or place <= first or to ~= from then
    for i = 0, last - first do to[place + i] = from[first + i] end
  else
    for i = last - first, 0, -1 do to[place + i] = from[first + i] end
  end
  return to
end

-- The world.

-- Libraries are the same for every call, so no call may alter them for the next.
local function frozen(library, name)
  return setmetatable({}, {
    __index = library,
    __newindex = function()
      error("library '" .. name .. "' can't be altered", 0)
    end,
    __metatable = false,
  })
end

local strings = {
  byte = string.byte, char = string.char, find = find, format = format, gmatch = gmatch,
  gsub = gsub, len = string.len, lower = string.lower, match = match, rep = rep,
  reverse = string.reverse, sub = string.sub, upper = string.upper,
}
local of_strings = getmetatable("")
of_strings.__index = strings
of_strings.__metatable = false

math.random, math.randomseed = nil, nil

local world = {
  NULL = NULL,
  _VERSION = _VERSION,
  assert = assert,
  copy = function(of)
    if type(of) ~= "table" then wrong(1, "copy", "table", of) end
    return native.copy(of)
  end,
  error = error,
  ipairs = ipairs,
  math = frozen(math, "math"),
  next = following,
  pairs = pairs,
  select = select,
  string = frozen(strings, "string"),
  table = frozen({
    concat = concat, insert = insert, move = move, pack = pack, remove = remove, sort = sort,
    unpack = unpack,
  }, "table"),
  tonumber = tonumber,
  tostring = tostring,
  type = type,
  utf8 = frozen(utf8, "utf8"),
}

-- How the rows of a table behave: a column that it doesn't have is an error where it is named.
local function shape(name, columns)
  local function check(column)
    if not columns[column] then
      error("table " .. name .. " has no column \"" .. tostring(column) .. "\"", 0)
    end
  end
  return {
    __index = function(_, column)
      check(column)
      return nil
    end,
    __newindex = function(row, column, value)
      check(column)
      rawset(row, column, value)
    end,
    __metatable = false,
  }
end

return { __index = world, __metatable = false }, shape
