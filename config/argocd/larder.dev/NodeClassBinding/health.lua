-- How Argo CD reads a NodeClassBinding. Its status follows kstatus, from which this departs twice: what waits or is
-- under way while nodes boot from a snapshot is Healthy, and what rollout.paused holds back is Suspended.
-- Argo CD gives scripts no string library, and an error in one shows as Unknown, which is worse than Degraded: so fields
-- that are absent, or not what they should be, are taken for empty.

local function health(status, message)
  return { status = status, message = message }
end

local function tableOf(value)
  if type(value) == "table" then
    return value
  end
  return {}
end

local conditions = {}
for _, condition in ipairs(tableOf(tableOf(obj.status).conditions)) do
  if type(condition) == "table" and type(condition.type) == "string" then
    conditions[condition.type] = condition
  end
end

local function holds(kind)
  return conditions[kind] ~= nil and conditions[kind].status == "True"
end

local function messageOf(kind, otherwise)
  if conditions[kind] ~= nil and type(conditions[kind].message) == "string" then
    return conditions[kind].message
  end
  return otherwise
end

local metadata, status = tableOf(obj.metadata), tableOf(obj.status)

-- Argo CD says so by itself where it knows; other callers of this script do not.
if metadata.deletionTimestamp ~= nil then
  return health("Progressing", messageOf("Applied", messageOf("Ready", "it is being deleted")))
end
if conditions.Ready == nil then
  return health("Progressing", "Larder has not looked at it yet: is its operator running?")
end
if status.observedGeneration ~= metadata.generation then
  return health("Progressing", "Larder has not come to an end with this spec: " .. messageOf("Ready", ""))
end
if holds("Stalled") then
  return health("Degraded", messageOf("Stalled", ""))
end
local rollout = tableOf(tableOf(obj.spec).rollout)
if rollout.paused == true and type(status.pending) == "table" then
  return health("Suspended", messageOf("Applied", messageOf("Ready", "")))
end
if not holds("Ready") then
  return health("Progressing", messageOf("Ready", ""))
end
-- Nodes boot from a snapshot. Another one may be staged until nodes drift, or until the window opens.
if conditions.Applied ~= nil and not holds("Applied") then
  return health("Healthy", messageOf("Applied", ""))
end
if holds("Reconciling") then
  return health("Healthy", messageOf("Ready", "") .. "; meanwhile: " .. messageOf("Reconciling", ""))
end
return health("Healthy", messageOf("Ready", ""))
