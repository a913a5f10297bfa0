// What the cache of compiled programs uses of the PJRT C API (OpenXLA), declared for itself. Within major
// version 0 fields keep their places and new ones come last; version 0.104 has all that stands here.
#include <stddef.h>

// An entry of a plugin's table: takes a structure, returns NULL or an error that the caller destroys. Each
// structure begins with its size, which tells the other side which fields there are, and a list of extensions.
typedef void *(*muster_entry)(void *args);

struct muster_table {
	size_t size;
	void *extensions;
	size_t version_size;
	void *version_extensions;
	int major, minor;
	muster_entry entry[];
};

struct muster_create {
	size_t size;
	void *extensions;
	const void *options;
	size_t num_options;
	void *get, *get_arg, *put, *put_arg;
	void *client; // out
};

struct muster_program {
	size_t size;
	void *extensions;
	const char *code;
	size_t code_size;
	const char *format;
	size_t format_size;
};

struct muster_compile {
	size_t size;
	void *extensions;
	void *client;
	const struct muster_program *program;
	const char *options;
	size_t options_size;
	void *executable; // out
};

// What this process makes of a plugin's table (pjrt.c).
struct muster_table *muster_pjrt_wrap(const char *plugin, int without, const char **why);
void *muster_pjrt_create(struct muster_create *args);
void *muster_pjrt_compile(struct muster_compile *args);
int muster_pjrt_load(struct muster_compile *args, const void *bytes, size_t size, char *why, size_t room);
void *muster_pjrt_serialize(void *loaded, size_t *size, char *why, size_t room);
void muster_pjrt_count(int *loaded, int *compiled);
