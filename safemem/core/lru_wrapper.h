/* functools.lru_cache's wrapper, over our table: the same contract to the letter, see functools._lru_cache_wrapper. */

#ifndef SAFEMEM_LRU_WRAPPER_H
#define SAFEMEM_LRU_WRAPPER_H

#include "parts.h"
#include "setup.h"
#include "writing.h"

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyObject *function;
    PyObject *maxsize; /* None: no bound */
    PyObject *info;    /* makes what cache_info() returns */
    Core *cache;       /* NULL: nothing is kept */
    PyObject *dict;
    PyObject *weakrefs;
    State *state;
    PyObject *module;
    uint64_t misses; /* where nothing is kept */
    uint8_t typed;
} Wrapper;

/* -- calling --------------------------------------------------------------------------------------------------------------------------- */

/* Keep a result; as with functools, one that a call of the same key from inside of the function has kept stays, unless there is no bound. */
static int
wrapper_keep(Wrapper *self, Core *cache, PyObject *key, uint32_t hash, PyObject *result)
{
    if (self->maxsize == Py_None) {
        Item item;
        item_init(&item, key, result, hash);
        return store_item(cache, &item);
    }
    PyObject *there = store_if_absent(cache, key, result, hash, NULL);
    Py_XDECREF(there);
    return there == NULL ? -1 : 0;
}

/* The result kept for a call, or NULL and, unless an exception is set, its key and hash. */
static inline PyObject *
wrapper_recall(Wrapper *self, Core *cache, PyObject *const *args, Py_ssize_t count, PyObject *names, PyObject **key, uint32_t *hash)
{
    /* One string or integer is its own key, so that 3 and 3.0 are different calls; with other arguments they are not. */
    if (LIKELY(count == 1 && (names == NULL || PyTuple_GET_SIZE(names) == 0) && !self->typed && (PyUnicode_CheckExact(args[0]) || PyLong_CheckExact(args[0])))) {
        int64_t mixed = hash_key(cache, args[0]);
        if (UNLIKELY(mixed < 0)) {
            return NULL;
        }
        *hash = (uint32_t)mixed;
        PyObject *value;
        Py_BEGIN_CRITICAL_SECTION(cache);
        value = look_up(cache, args[0], *hash);
        Py_END_CRITICAL_SECTION();
        if (UNLIKELY(value == NULL)) {
            *key = Py_NewRef(args[0]);
        }
        return value;
    }
    Parts parts;
    const Manner manner = {self->state->mark, self->typed, 0};
    if (UNLIKELY(gather(&parts, manner, args, count, names) < 0)) {
        return NULL;
    }
    Py_hash_t raw = parts_hash(&parts);
    PyObject *value = NULL;
    if (LIKELY(raw != -1)) {
        *hash = mix(cache, raw);
        value = look_up_parts(cache, &parts, *hash, key);
    }
    parts_release(&parts, args);
    return value;
}

static NOINLINE PyObject *
wrapper_miss(Wrapper *self, Core *cache, PyObject *key, uint32_t hash, PyObject *const *args, size_t flags, PyObject *names)
{
    if (key == NULL || PyErr_Occurred()) {
        return NULL;
    }
    if (Py_EnterRecursiveCall(" while calling a Python object")) { /* wrappers may wrap wrappers, and nothing else would count them */
        return NULL;
    }
    PyObject *result = PyObject_Vectorcall(self->function, args, flags, names);
    Py_LeaveRecursiveCall();
    if (result != NULL && wrapper_keep(self, cache, key, hash, result) < 0) {
        Py_CLEAR(result);
    }
    return result;
}

static PyObject *
wrapper_vectorcall(PyObject *op, PyObject *const *args, size_t flags, PyObject *names)
{
    Wrapper *self = (Wrapper *)op;
    Core *cache = (Core *)Py_XNewRef(self->cache);
    if (UNLIKELY(cache == NULL)) {
        Py_BEGIN_CRITICAL_SECTION(self);
        self->misses++;
        Py_END_CRITICAL_SECTION();
        if (Py_EnterRecursiveCall(" while calling a Python object")) {
            return NULL;
        }
        PyObject *result = PyObject_Vectorcall(self->function, args, flags, names);
        Py_LeaveRecursiveCall();
        return result;
    }
    PyObject *key = NULL;
    uint32_t hash = 0;
    PyObject *value = wrapper_recall(self, cache, args, PyVectorcall_NARGS(flags), names, &key, &hash);
    if (UNLIKELY(value == NULL)) {
        value = wrapper_miss(self, cache, key, hash, args, flags, names);
    }
    Py_XDECREF(key);
    Py_DECREF(cache);
    return value;
}

/* -- making and freeing ------------------------------------------------------------------------------------------------------------------ */

static PyObject *
wrapper_new(PyTypeObject *type, PyObject *args, PyObject *names)
{
    static char *keywords[] = {"user_function", "maxsize", "typed", "cache_info_type", NULL};
    PyObject *function, *maxsize, *info, *module = PyType_GetModuleByDef(type, &native_module);
    int typed;
    if (module == NULL || !PyArg_ParseTupleAndKeywords(args, names, "OOpO:lru_cache", keywords, &function, &maxsize, &typed, &info)) {
        return NULL;
    }
    if (!PyCallable_Check(function)) {
        PyErr_SetString(PyExc_TypeError, "the first argument must be callable");
        return NULL;
    }
    if (maxsize != Py_None && !PyIndex_Check(maxsize)) {
        PyErr_SetString(PyExc_TypeError, "maxsize should be integer or None");
        return NULL;
    }
    State *state = PyModule_GetState(module);
    if (state->lru_type == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the interpreter is shutting down");
        return NULL;
    }
    Py_ssize_t bound = maxsize == Py_None ? PY_SSIZE_T_MAX : PyNumber_AsSsize_t(maxsize, PyExc_OverflowError);
    if (bound == -1 && PyErr_Occurred()) {
        return NULL;
    }
    PyObject *kept = maxsize == Py_None ? Py_NewRef(maxsize) : PyLong_FromSsize_t(bound < 0 ? 0 : bound);
    Wrapper *self = kept == NULL ? NULL : (Wrapper *)type->tp_alloc(type, 0);
    if (self == NULL) {
        Py_XDECREF(kept);
        return NULL;
    }
    self->vectorcall = wrapper_vectorcall;
    self->function = Py_NewRef(function);
    self->maxsize = kept;
    self->info = Py_NewRef(info);
    self->state = state;
    self->module = Py_NewRef(module);
    self->typed = (uint8_t)typed;
    if (bound > 0) {
        Options options = {0};
        options.maxsize = kept == Py_None ? state->infinity : kept;
        PyObject *cache = PyObject_CallNoArgs((PyObject *)state->lru_type);
        if (cache == NULL || configure((Core *)cache, &options) < 0) {
            Py_XDECREF(cache);
            Py_DECREF(self);
            return NULL;
        }
        self->cache = (Core *)cache;
    }
    return (PyObject *)self;
}

static int
wrapper_traverse(PyObject *op, visitproc visit, void *arg)
{
    Wrapper *self = (Wrapper *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->function);
    Py_VISIT(self->info);
    Py_VISIT(self->cache);
    Py_VISIT(self->dict);
    Py_VISIT(self->module);
    return 0;
}

/* The function stays, for whoever calls until the end: a circle of references leads through the dict or the cache, which clear themselves. */
static int
wrapper_clear(PyObject *op)
{
    Py_CLEAR(((Wrapper *)op)->dict);
    return 0;
}

static void
wrapper_dealloc(PyObject *op)
{
    Wrapper *self = (Wrapper *)op;
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    Py_TRASHCAN_BEGIN(op, wrapper_dealloc)
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    Py_CLEAR(self->dict);
    Py_CLEAR(self->cache);
    Py_CLEAR(self->function);
    Py_CLEAR(self->maxsize);
    Py_CLEAR(self->info);
    Py_CLEAR(self->module);
    type->tp_free(op);
    Py_DECREF(type);
    Py_TRASHCAN_END
}

/* -- methods ----------------------------------------------------------------------------------------------------------------------------- */

static PyObject *
wrapper_cache_info(PyObject *op, PyObject *Py_UNUSED(none))
{
    Wrapper *self = (Wrapper *)op;
    Core *cache = self->cache;
    unsigned long long hits, misses;
    if (cache == NULL) {
        Py_BEGIN_CRITICAL_SECTION(self);
        misses = self->misses;
        Py_END_CRITICAL_SECTION();
        return PyObject_CallFunction(self->info, "iKOi", 0, misses, self->maxsize, 0);
    }
    Py_ssize_t count;
    Py_BEGIN_CRITICAL_SECTION(cache);
    hits = cache->hits;
    misses = cache->misses;
    count = (Py_ssize_t)cache->count;
    Py_END_CRITICAL_SECTION();
    return PyObject_CallFunction(self->info, "KKOn", hits, misses, self->maxsize, count);
}

static PyObject *
wrapper_cache_clear(PyObject *op, PyObject *Py_UNUSED(none))
{
    Wrapper *self = (Wrapper *)op;
    Py_BEGIN_CRITICAL_SECTION(self);
    self->misses = 0;
    Py_END_CRITICAL_SECTION();
    if (self->cache == NULL) {
        Py_RETURN_NONE;
    }
    PyObject *reset = core_reset_counters((PyObject *)self->cache, NULL);
    Py_XDECREF(reset);
    return reset == NULL ? NULL : core_clear((PyObject *)self->cache, NULL, 0, NULL);
}

static PyObject *
wrapper_reduce(PyObject *op, PyObject *Py_UNUSED(none))
{
    return PyObject_GetAttrString(op, "__qualname__");
}

static PyObject *
wrapper_itself(PyObject *op, PyObject *Py_UNUSED(argument))
{
    return Py_NewRef(op);
}

static PyObject *
wrapper_bind(PyObject *op, PyObject *owner, PyObject *Py_UNUSED(type))
{
    return owner == NULL || owner == Py_None ? Py_NewRef(op) : PyMethod_New(op, owner);
}

static PyMethodDef wrapper_methods[] = {
    {"cache_info", wrapper_cache_info, METH_NOARGS, "cache_info($self, /)\n--\n\nReport cache statistics"},
    {"cache_clear", wrapper_cache_clear, METH_NOARGS, "cache_clear($self, /)\n--\n\nClear the cache and cache statistics"},
    {"__reduce__", wrapper_reduce, METH_NOARGS, NULL},
    {"__copy__", wrapper_itself, METH_NOARGS, NULL},
    {"__deepcopy__", wrapper_itself, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef wrapper_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef wrapper_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Wrapper, vectorcall), READONLY, NULL},
    {"__dictoffset__", T_PYSSIZET, offsetof(Wrapper, dict), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Wrapper, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot wrapper_slots[] = {
    {Py_tp_doc, "A function whose results are cached, as by functools.lru_cache()."},
    {Py_tp_new, wrapper_new},
    {Py_tp_dealloc, wrapper_dealloc},
    {Py_tp_traverse, wrapper_traverse},
    {Py_tp_clear, wrapper_clear},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_descr_get, wrapper_bind},
    {Py_tp_methods, wrapper_methods},
    {Py_tp_getset, wrapper_getset},
    {Py_tp_members, wrapper_members},
    {0, NULL},
};

static PyType_Spec wrapper_spec = {
    "safemem.core._native.lru_wrapper",
    sizeof(Wrapper),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR | Py_TPFLAGS_IMMUTABLETYPE,
    wrapper_slots,
};

#endif
