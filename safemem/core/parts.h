/* The key of a call, without making it: its parts where they lie, hashed and compared as the tuple of them would be.

   A key is the positional arguments, then, if there are keyword arguments, a mark and their names and values, then, if the types
   matter, the types of all values; see call_key() in _calling.py. The tuple is made only when a result is missing, or when a look
   into it would run somebody's code. */

#ifndef SAFEMEM_PARTS_H
#define SAFEMEM_PARTS_H

#include "lookup.h"

#define MOST_PARTS 32
#define ASK (UINT32_MAX - 1) /* in place of an entry's number: only the key itself can tell */

typedef struct {
    PyObject *const *at; /* borrowed from the call, but for the types: an object may change its class when it is hashed */
    Py_ssize_t count;
    Py_ssize_t types; /* how many of the last are types; if gathered */
    PyObject *gathered[MOST_PARTS];
} Parts;

/* How the keys of a decorated function are made. */
typedef struct {
    PyObject *mark; /* borrowed: stands before keyword arguments */
    uint8_t typed;
    uint8_t sorted; /* keyword arguments count as the same in any order */
} Manner;

static inline void
parts_release(Parts *parts, PyObject *const *args)
{
    if (parts->at == args) {
        return;
    }
    for (Py_ssize_t i = parts->count - parts->types; i < parts->count; i++) {
        Py_DECREF(parts->at[i]);
    }
    if (UNLIKELY(parts->at != parts->gathered)) {
        PyMem_Free((void *)parts->at);
    }
}

/* Put names and values behind each other, sorted by name if so wanted. */
static void
gather_named(PyObject **pairs, PyObject *const *values, PyObject *names, int sorted)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        Py_ssize_t place = i;
        while (sorted && place > 0 && PyUnicode_Compare(pairs[2 * place - 2], name) > 0) {
            pairs[2 * place] = pairs[2 * place - 2];
            pairs[2 * place + 1] = pairs[2 * place - 1];
            place--;
        }
        pairs[2 * place] = name;
        pairs[2 * place + 1] = values[i];
    }
}

static NOINLINE int
gather_slowly(Parts *parts, Manner manner, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Py_ssize_t named = names == NULL ? 0 : PyTuple_GET_SIZE(names);
    Py_ssize_t untyped = count + (named ? 1 + 2 * named : 0);
    parts->types = manner.typed ? count + named : 0;
    parts->count = untyped + parts->types;
    PyObject **part = parts->gathered;
    if (parts->count > MOST_PARTS) {
        part = PyMem_New(PyObject *, (size_t)parts->count);
        if (part == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    parts->at = part;
    for (Py_ssize_t i = 0; i < count; i++) {
        part[i] = args[i];
    }
    if (named) {
        part[count] = manner.mark;
        gather_named(part + count + 1, args + count, names, manner.sorted);
    }
    if (manner.typed) {
        for (Py_ssize_t i = 0; i < count; i++) {
            part[untyped + i] = Py_NewRef(Py_TYPE(args[i]));
        }
        for (Py_ssize_t i = 0; i < named; i++) {
            part[untyped + count + i] = Py_NewRef(Py_TYPE(part[count + 2 + 2 * i]));
        }
    }
    return 0;
}

static inline int
gather(Parts *parts, Manner manner, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    if (names == NULL || PyTuple_GET_SIZE(names) == 0) {
        if (LIKELY(!manner.typed)) {
            parts->at = args;
            parts->count = count;
            return 0;
        }
        if (LIKELY(count <= MOST_PARTS / 2)) {
            for (Py_ssize_t i = 0; i < count; i++) {
                parts->gathered[i] = args[i];
                parts->gathered[count + i] = Py_NewRef(Py_TYPE(args[i]));
            }
            parts->at = parts->gathered;
            parts->types = count;
            parts->count = 2 * count;
            return 0;
        }
    }
    return gather_slowly(parts, manner, args, count, names);
}

/* -- hashing -------------------------------------------------------------------------------------------------------------------------- */

#if SIZEOF_PY_UHASH_T > 4
#define LANE_1 ((Py_uhash_t)11400714785074694791ULL)
#define LANE_2 ((Py_uhash_t)14029467366897019727ULL)
#define LANE_5 ((Py_uhash_t)2870177450012600261ULL)
#define LANE_ROTATE(lane) (((lane) << 31) | ((lane) >> 33))
#else
#define LANE_1 ((Py_uhash_t)2654435761UL)
#define LANE_2 ((Py_uhash_t)2246822519UL)
#define LANE_5 ((Py_uhash_t)374761393UL)
#define LANE_ROTATE(lane) (((lane) << 13) | ((lane) >> 19))
#endif

/* What hash() says of a part; of a type whose class is `type`, its address rotated. -1: an exception is set. */
static inline Py_hash_t
part_hash(PyObject *part)
{
    if (Py_TYPE(part) == &PyType_Type) {
        Py_uhash_t address = (Py_uhash_t)(uintptr_t)part;
        address = (address >> 4) | (address << (8 * sizeof(address) - 4));
        return UNLIKELY(address == (Py_uhash_t)-1) ? -2 : (Py_hash_t)address;
    }
    return hash_object(part);
}

/* What hash() says of the tuple of these parts: xxHash's 64-bit rounds as tuples use them (github.com/Cyan4973/xxHash). The module
   makes sure of it when it is imported. -1: an exception is set. Runs the parts' code. */
static ALWAYS_INLINE Py_hash_t
parts_hash(const Parts *parts)
{
    Py_uhash_t sum = LANE_5;
    for (Py_ssize_t i = 0; i < parts->count; i++) {
        Py_hash_t lane = part_hash(parts->at[i]);
        if (UNLIKELY(lane == -1)) {
            return -1;
        }
        sum += (Py_uhash_t)lane * LANE_2;
        sum = LANE_ROTATE(sum);
        sum *= LANE_1;
    }
    sum += (Py_uhash_t)parts->count ^ (LANE_5 ^ 3527539UL);
    return UNLIKELY(sum == (Py_uhash_t)-1) ? 1546275796 : (Py_hash_t)sum;
}

/* -- the key itself --------------------------------------------------------------------------------------------------------------------- */

static NOINLINE PyObject *
parts_key(const Parts *parts)
{
    PyObject *key = PyTuple_New(parts->count);
    if (key == NULL) {
        return NULL;
    }
    int tracked = 0;
    for (Py_ssize_t i = 0; i < parts->count; i++) {
        PyTuple_SET_ITEM(key, i, Py_NewRef(parts->at[i]));
        tracked |= may_be_tracked(parts->at[i]);
    }
    if (!tracked && parts->count > 0) {
        PyObject_GC_UnTrack(key); /* as the collector does with a tuple in which it never has to look */
    }
    return key;
}

/* -- looking up --------------------------------------------------------------------------------------------------------------------------- */

/* Whether a stored key is the tuple of these parts: 1, 0, or -1 if only the key itself can tell. */
static ALWAYS_INLINE int
same_parts(PyObject *stored, const Parts *parts)
{
    if (UNLIKELY(!PyTuple_CheckExact(stored))) {
        return -1;
    }
    if (PyTuple_GET_SIZE(stored) != parts->count) {
        return 0;
    }
    for (Py_ssize_t i = 0; i < parts->count; i++) {
        PyObject *one = PyTuple_GET_ITEM(stored, i), *other = parts->at[i];
        if (one != other) {
            int same = same_at_once(one, other);
            if (same <= 0) {
                return same;
            }
        }
    }
    return 1;
}

static ALWAYS_INLINE uint32_t
find_parts(Core *self, const Parts *parts, uint32_t hash)
{
    const uint32_t *index = self->index;
    uint32_t mask = self->mask, tag = tag_of(self, hash);
    for (uint32_t place = home_of(self, hash);; place = (place + 1) & mask) {
        uint32_t slot = index[place], number = slot & mask;
        if (slot == 0) {
            return 0;
        }
        if ((slot ^ number) == tag && self->entries[number].hash == hash) {
            int same = same_parts(self->entries[number].key, parts);
            if (LIKELY(same != 0)) {
                return same > 0 ? number : ASK;
            }
        }
    }
}

/* The number of a call's entry if it is alive, 0 if not, or ASK. Runs nobody's code. */
static ALWAYS_INLINE uint32_t
find_parts_live(Core *self, const Parts *parts, uint32_t hash)
{
    if (UNLIKELY(self->weak)) {
        return ASK;
    }
    if (!self->timed) {
        return find_parts(self, parts, hash);
    }
#if HAS_FAST_CLOCK
    if (LIKELY(!self->objects && is_monotonic(self))) {
        uint32_t number = find_parts(self, parts, hash);
        return number == 0 || number == ASK || is_later(self->timing[number].at) ? number : 0;
    }
#endif
    return ASK;
}

/* The result kept for a call, a new reference. NULL: there is none, or an exception is set; `*key` is the key if it had to be made. */
static ALWAYS_INLINE PyObject *
look_up_parts(Core *self, const Parts *parts, uint32_t hash, PyObject **key)
{
    uint32_t number;
    PyObject *value = NULL;
    Py_BEGIN_CRITICAL_SECTION(self);
    number = find_parts_live(self, parts, hash);
    if (LIKELY(number != 0 && number != ASK)) {
        self->hits++;
        promote(self, number);
        note_use(self, number);
        value = Py_NewRef(self->entries[number].value);
    }
    else if (number == 0) {
        self->misses++;
    }
    Py_END_CRITICAL_SECTION();
    if (LIKELY(value != NULL)) {
        return value;
    }
    *key = parts_key(parts);
    if (*key == NULL || number == 0) {
        return NULL;
    }
    return look_up_any(self, *key, hash);
}

#endif
