//go:build linux && cgo && !noxla && (amd64 || arm64)

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include "_cgo_export.h"

// Places in the table.
enum {
	error_destroy = 0, error_message = 1, client_create = 10, client_compile = 20, executable_destroy = 40,
	executable_serialize = 49, get_executable = 51, deserialize_and_load = 56, used = 57
};

static struct muster_table *plugin; // a copy of the plugin's own table

// How many programs this thread has loaded and compiled.
static __thread int loaded, compiled;

void muster_pjrt_count(int *l, int *c) {
	*l = loaded;
	*c = compiled;
}

static void *copy(const struct muster_table *t) {
	void *c = malloc(t->size);
	return c ? memcpy(c, t, t->size) : NULL;
}

static void *create(void *args) { return musterPJRTCreate(args); }
static void *compile(void *args) { return musterPJRTCompile(args); }

// muster_pjrt_wrap loads a plugin and returns a copy of its table that makes clients and compiles through
// this package, or NULL and the reason. Without is for tests: as if the plugin could not serialise.
struct muster_table *muster_pjrt_wrap(const char *file, int without, const char **why) {
	void *library = dlopen(file, RTLD_LAZY | RTLD_LOCAL); // stays open, as its functions stay in use
	struct muster_table *(*get)(void) = NULL;
	if (library != NULL)
		*(void **)&get = dlsym(library, "GetPjrtApi");
	struct muster_table *table = get ? get() : NULL;
	*why = "it cannot be loaded";
	if (table == NULL)
		return NULL;
	*why = "its version is not known to the cache";
	if (table->size < offsetof(struct muster_table, entry) || table->major != 0 || table->minor < 104)
		return NULL;
	*why = "its table of functions is too short";
	if (table->size < offsetof(struct muster_table, entry) + used * sizeof(muster_entry))
		return NULL;
	*why = "out of memory";
	struct muster_table *own = copy(table), *ours = copy(table);
	if (own == NULL || ours == NULL) {
		free(own);
		free(ours);
		return NULL;
	}
	if (without)
		own->entry[executable_serialize] = own->entry[deserialize_and_load] = NULL;
	static const int needed[] = {error_destroy, error_message, client_create, client_compile, executable_destroy,
		executable_serialize, get_executable, deserialize_and_load};
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
		if (own->entry[needed[i]] == NULL) {
			*why = "it cannot serialise programs";
			free(own);
			free(ours);
			return NULL;
		}
	plugin = own;
	ours->entry[client_create] = create;
	ours->entry[client_compile] = compile;
	return ours;
}

// failed copies an error's message to why and destroys the error; 0 if there is none.
static int failed(void *error, char *why, size_t room) {
	if (error == NULL)
		return 0;
	struct { size_t size; void *extensions; void *error; const char *message; size_t length; } text = {sizeof text, NULL, error};
	plugin->entry[error_message](&text);
	size_t n = text.message == NULL ? 0 : text.length < room - 1 ? text.length : room - 1;
	if (n > 0)
		memcpy(why, text.message, n);
	why[n] = 0;
	struct { size_t size; void *extensions; void *error; } destroy = {sizeof destroy, NULL, error};
	plugin->entry[error_destroy](&destroy);
	return 1;
}

void *muster_pjrt_create(struct muster_create *args) { return plugin->entry[client_create](args); }

void *muster_pjrt_compile(struct muster_compile *args) {
	compiled++;
	return plugin->entry[client_compile](args);
}

// muster_pjrt_load puts a program that was serialised in args->executable; 0 with the reason if it cannot.
int muster_pjrt_load(struct muster_compile *args, const void *bytes, size_t size, char *why, size_t room) {
	struct {
		size_t size;
		void *extensions, *client;
		const void *bytes;
		size_t num_bytes;
		void *executable; // out
		const void *options; // NULL: those it was compiled with
		size_t num_options;
	} load = {sizeof load, NULL, args->client, bytes, size};
	if (failed(plugin->entry[deserialize_and_load](&load), why, room))
		return 0;
	if (load.executable == NULL) {
		strncpy(why, "no program", room);
		return 0;
	}
	args->executable = load.executable;
	loaded++;
	return 1;
}

// muster_pjrt_serialize returns a loaded program's bytes, to be freed, or NULL and the reason.
void *muster_pjrt_serialize(void *executable, size_t *size, char *why, size_t room) {
	struct { size_t size; void *extensions, *loaded, *executable; } get = {sizeof get, NULL, executable};
	if (failed(plugin->entry[get_executable](&get), why, room))
		return NULL;
	struct {
		size_t size;
		void *extensions, *executable;
		const void *bytes; // out, as all below
		size_t num_bytes;
		void *owner; // of the bytes
		void (*release)(void *owner);
	} serialize = {sizeof serialize, NULL, get.executable};
	void *bytes = NULL;
	if (!failed(plugin->entry[executable_serialize](&serialize), why, room)) {
		strncpy(why, "no bytes", room);
		if (serialize.bytes != NULL && serialize.num_bytes > 0 && (bytes = malloc(serialize.num_bytes)) != NULL)
			memcpy(bytes, serialize.bytes, *size = serialize.num_bytes);
		if (serialize.release != NULL)
			serialize.release(serialize.owner);
	}
	struct { size_t size; void *extensions, *executable; } destroy = {sizeof destroy, NULL, get.executable};
	char ignored[2];
	failed(plugin->entry[executable_destroy](&destroy), ignored, sizeof ignored);
	return bytes;
}
