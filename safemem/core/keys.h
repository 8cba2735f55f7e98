/* Finding a key: hashes are mixed, keys are compared as a dict does it, and whatever a comparison did to the table is noticed. */

#ifndef SAFEMEM_KEYS_H
#define SAFEMEM_KEYS_H

#include "table.h"

/* Python's integers hash to themselves, so that anybody can make up keys that share a position. Multiplying by a number nobody knows
   moves them apart, but with some of these numbers integers in a row end up in a few heaps: one process in a hundred would make 44 steps
   for a look-up instead of one and a half. Folding the halves and multiplying once more leaves no heaps. */
static inline uint32_t
mix(Core *self, Py_hash_t hash)
{
    uint64_t mixed = (uint64_t)hash * self->seed;
    return (uint32_t)(((mixed ^ (mixed >> 32)) * UINT64_C(0x9E3779B97F4A7C15)) >> 32);
}

/* The value of an integer of few digits; -1 stands for all others too. */
static inline Py_hash_t
small_integer(PyObject *number)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyUnstable_Long_IsCompact((PyLongObject *)number) ? PyUnstable_Long_CompactValue((PyLongObject *)number) : -1;
#else
    Py_ssize_t size = Py_SIZE(number);
    return size >= -1 && size <= 1 ? size * (Py_ssize_t)((PyLongObject *)number)->ob_digit[0] : -1;
#endif
}

/* hash(key), or -1 with an exception set. */
static inline Py_hash_t
hash_object(PyObject *key)
{
    Py_hash_t hash = -1;
    if (LIKELY(PyUnicode_CheckExact(key))) {
        hash = LOAD_RELAXED(&((PyASCIIObject *)key)->hash);
    }
    else if (PyLong_CheckExact(key)) {
        hash = small_integer(key); /* which is its own hash, but for -1 */
    }
    return LIKELY(hash != -1) ? hash : PyObject_Hash(key);
}

/* The mixed hash of a key, or -1 with an exception set. */
static inline int64_t
hash_key(Core *self, PyObject *key)
{
    Py_hash_t hash = hash_object(key);
    return LIKELY(hash != -1) ? (int64_t)mix(self, hash) : -1;
}

/* Whether two exact integers that hash alike are equal: 1, 0, or -1 if that takes a longer look. */
static inline int
same_integers(PyObject *left, PyObject *right)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyLongObject *one = (PyLongObject *)left, *other = (PyLongObject *)right;
    if (LIKELY(PyUnstable_Long_IsCompact(one) && PyUnstable_Long_IsCompact(other))) {
        return PyUnstable_Long_CompactValue(one) == PyUnstable_Long_CompactValue(other);
    }
    return -1;
#else
    Py_ssize_t size = Py_SIZE(left);
    if (size != Py_SIZE(right)) {
        return 0;
    }
    size_t digits = (size_t)(size < 0 ? -size : size);
    return memcmp(((PyLongObject *)left)->ob_digit, ((PyLongObject *)right)->ob_digit, digits * sizeof(digit)) == 0;
#endif
}

/* Whether two keys that are not the same object are equal, if that can be said without a call; else -1. */
static inline int
same_at_once(PyObject *stored, PyObject *key)
{
    PyTypeObject *type = Py_TYPE(key);
    if (Py_TYPE(stored) != type) {
        return -1;
    }
    if (LIKELY(type == &PyUnicode_Type)) {
        Py_ssize_t length = PyUnicode_GET_LENGTH(stored);
        if (length != PyUnicode_GET_LENGTH(key) || PyUnicode_KIND(stored) != PyUnicode_KIND(key)) {
            return 0;
        }
        return memcmp(PyUnicode_DATA(stored), PyUnicode_DATA(key), (size_t)length * (size_t)PyUnicode_KIND(key)) == 0;
    }
    if (type == &PyLong_Type) {
        return same_integers(stored, key);
    }
    if (type == &PyFloat_Type) {
        return PyFloat_AS_DOUBLE(stored) == PyFloat_AS_DOUBLE(key);
    }
    return -1;
}

/* Compare by the keys' own code: 1, 0, or -1 with an exception set. */
static NOINLINE int
same_by_call(PyObject *stored, PyObject *key)
{
    Py_INCREF(stored);
    int same = PyObject_RichCompareBool(stored, key, Py_EQ);
    Py_DECREF(stored);
    return same;
}

/* The number of a key's entry, 0 if there is none, FAILED with an exception set.
   When this returns, nothing has run since the table was looked at. */
static inline uint32_t
find(Core *self, PyObject *key, uint32_t hash)
{
again:;
    const uint32_t *index = self->index;
    uint32_t mask = self->mask, tag = tag_of(self, hash);
    for (uint32_t place = home_of(self, hash);; place = (place + 1) & mask) {
        uint32_t slot = index[place], number = slot & mask;
        if (slot == 0) {
            return 0;
        }
        if ((slot ^ number) != tag) {
            continue;
        }
        PyObject *stored = self->entries[number].key;
        if (LIKELY(stored == key)) {
            return number;
        }
        if (UNLIKELY(self->entries[number].hash != hash)) {
            continue;
        }
        int same = same_at_once(stored, key);
        if (UNLIKELY(same < 0)) {
            uint64_t version = self->version;
            same = same_by_call(stored, key);
            if (same < 0) {
                return FAILED;
            }
            if (self->version != version) {
                goto again;
            }
        }
        if (LIKELY(same)) {
            return number;
        }
    }
}

#endif
