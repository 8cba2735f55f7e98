/* The types of the caches: which functions they are made of. */

#ifndef SAFEMEM_CACHES_H
#define SAFEMEM_CACHES_H

#include "account_regions.h"
#include "bound.h"
#include "check.h"

#define FAST(name, function, doc) {name, (PyCFunction)(void (*)(void))(function), METH_FASTCALL | METH_KEYWORDS, doc}
#define PRIVATE_FAST(name, function) {name, (PyCFunction)(void (*)(void))(function), METH_FASTCALL, NULL}
#define PRIVATE_NAMED(name, function) {name, (PyCFunction)(void (*)(void))(function), METH_VARARGS | METH_KEYWORDS, NULL}

static PyMethodDef core_methods[] = {
    FAST("get", core_get,
         "get($self, key, default=None)\n--\n\n"
         "Return the value of `key`, now the most recently used, or `default`; never calls `__missing__`."),
    FAST("peek", core_peek,
         "peek($self, key, default=None)\n--\n\n"
         "Return the value of `key` or `default`, without a trace: no promotion, no statistics, no `__missing__`."),
    FAST("setdefault", core_setdefault,
         "setdefault($self, key, default=None)\n--\n\n"
         "Return the value of `key`, or store `default` and return that; one atomic step."),
    FAST("pop", core_pop,
         "pop($self, key, default=...)\n--\n\n"
         "Remove `key` and return its value, else `default` if given, else raise KeyError; one atomic step, no `__missing__`."),
    FAST("popitem", core_popitem,
         "popitem($self)\n--\n\n"
         "Remove and return the `(key, value)` pair least recently used; KeyError if there is none."),
    FAST("clear", core_clear,
         "clear($self)\n--\n\n"
         "Remove everything, in constant time but for telling `on_remove` and freeing what nobody else holds."),
    {"__missing__", core_missing, METH_O, NULL},
    {"__reversed__", core_reversed, METH_NOARGS, NULL},
    {"__sizeof__", core_sizeof, METH_NOARGS, NULL},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    PRIVATE_NAMED("_configure", core_configure),
    PRIVATE_NAMED("_iterate_values", core_iterate_values),
    PRIVATE_NAMED("_iterate_items", core_iterate_items),
    PRIVATE_NAMED("_count_load", core_count_load),
    PRIVATE_FAST("_lacks_room", core_lacks_room),
    PRIVATE_FAST("_evict", core_evict),
    PRIVATE_FAST("_pop", core_pop_for),
    PRIVATE_FAST("_abort_load", core_abort_load),
    PRIVATE_FAST("_finish_load", core_finish_load),
    {"_pop_coldest", core_pop_coldest, METH_O, NULL},
    {"_resize", core_resize, METH_O, NULL},
    {"_begin_load", core_begin_load, METH_O, NULL},
    {"_counters", core_counters, METH_NOARGS, NULL},
    {"_reset_counters", core_reset_counters, METH_NOARGS, NULL},
    {"_drain", core_drain, METH_NOARGS, NULL},
    {"_count_removed", core_count_removed, METH_NOARGS, NULL},
    {"_export", core_export, METH_NOARGS, NULL},
    {"_import", core_import, METH_O, NULL},
    {"_check", core_check, METH_NOARGS, NULL},
    PRIVATE_FAST("_open_account", core_open_account),
    PRIVATE_FAST("_offer", core_offer),
    PRIVATE_FAST("_give_up", core_give_up),
    PRIVATE_FAST("_record", core_record),
    PRIVATE_FAST("_cold_regions", core_cold_regions),
    PRIVATE_FAST("_give_up_regions", core_give_up_regions),
    {"_close_account", core_close_account, METH_NOARGS, NULL},
    {"_unmeasured", core_unmeasured, METH_NOARGS, NULL},
    {"_reclaimable", core_reclaimable, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef core_getset[] = {
    {"maxsize", core_maxsize, NULL, "The bound: how many entries, or what weight in all; change it with `resize()`.", NULL},
    {"currsize", core_currsize, NULL, "The number of entries, or what they weigh.", NULL},
    {"_maxsize", core_maxsize, NULL, NULL, NULL},
    {"_weighs", core_weighs, NULL, NULL, NULL},
    {"_hooked", core_hooked, NULL, NULL, NULL},
    {"_on_remove", core_on_remove, NULL, NULL, NULL},
    {"_making_room", core_making_room, NULL, NULL, NULL},
    {"_account", core_account, NULL, NULL, NULL},
    {"_charged", core_charged, NULL, NULL, NULL},
    {"_measure", core_measure, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef core_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Core, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot lru_slots[] = {
    {Py_tp_doc, "A mapping bounded by count or weight that lets go of the least recently used entry first."},
    {Py_tp_new, core_new},
    {Py_tp_dealloc, core_dealloc},
    {Py_tp_traverse, core_traverse},
    {Py_tp_clear, core_clear_references},
    {Py_tp_iter, core_iter},
    {Py_tp_hash, PyObject_HashNotImplemented},
    {Py_tp_methods, core_methods},
    {Py_tp_getset, core_getset},
    {Py_tp_members, core_members},
    {Py_mp_subscript, core_subscript},
    {Py_mp_ass_subscript, core_ass_subscript},
    {Py_mp_length, core_length},
    {Py_sq_contains, core_contains},
    {0, NULL},
};

static PyMethodDef ttl_methods[] = {
    FAST("expire", core_expire,
         "expire($self, time=None)\n--\n\n"
         "Remove what has expired, or will have by the timer's reading `time`; return the `(key, value)` pairs, the first to expire first."),
    FAST("ttl_of", core_ttl_of,
         "ttl_of($self, key)\n--\n\n"
         "Return what is left of an entry's life, in the timer's units (a timedelta for datetimes); math.inf if it never expires."),
    PRIVATE_FAST("_set_for", core_set_for),
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef ttl_getset[] = {
    {"currsize", core_currsize, NULL, "The number of entries that have not expired, or what they weigh.", NULL},
    {"_clock", core_clock, NULL, NULL, NULL},
    {"_step", core_step, NULL, NULL, NULL},
    {"_watched", core_watched, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot ttl_slots[] = {
    {Py_tp_doc, "An LRU mapping whose entries expire some time after they were stored."},
    {Py_tp_traverse, core_traverse},
    {Py_tp_clear, core_clear_references},
    {Py_tp_methods, ttl_methods},
    {Py_tp_getset, ttl_getset},
    {0, NULL},
};

static PyGetSetDef tlru_getset[] = {
    {"_ttu", core_ttu, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot tlru_slots[] = {
    {Py_tp_doc, "An LRU mapping whose entries expire each at a time that a function says."},
    {Py_tp_traverse, core_traverse},
    {Py_tp_clear, core_clear_references},
    {Py_tp_getset, tlru_getset},
    {0, NULL},
};

static PyMethodDef weak_methods[] = {
    {"_strong_count", core_strong_count, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef weak_getset[] = {
    {"currsize", core_currsize, NULL, "The number of entries held strongly, or what they weigh.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot weak_slots[] = {
    {Py_tp_doc, "An LRU mapping that holds what it has no room for weakly."},
    {Py_tp_traverse, core_traverse},
    {Py_tp_clear, core_clear_references},
    {Py_tp_methods, weak_methods},
    {Py_tp_getset, weak_getset},
    {0, NULL},
};

#define CORE_FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_MAPPING)

static PyType_Spec lru_spec = {"safemem.core._native.LRUCore", sizeof(Core), 0, CORE_FLAGS, lru_slots};
static PyType_Spec ttl_spec = {"safemem.core._native.TTLCore", sizeof(Core), 0, CORE_FLAGS, ttl_slots};
static PyType_Spec weak_spec = {"safemem.core._native.WeakCore", sizeof(Core), 0, CORE_FLAGS, weak_slots};
static PyType_Spec tlru_spec = {"safemem.core._native.TLRUCore", sizeof(Core), 0, CORE_FLAGS, tlru_slots};

#endif
