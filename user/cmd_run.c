// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* oomx run: loads a policy, watches or decides, hands out events. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <jansson.h>

#include "calibrate.h"
#include "cleanup.h"
#include "cmd.h"
#include "containers.h"
#include "daemon.h"
#include "engine.h"
#include "exit.h"
#include "feed.h"
#include "log.h"
#include "parse.h"
#include "paths.h"
#include "priority.h"
#include "reap.h"
#include "record.h"
#include "replace.h"
#include "responder.h"
#include "restore.h"
#include "rules_live.h"
#include "selftest.h"
#include "struct_ops.h"
#include "sysctl.h"

#define PRIORITIES_MAX 256
#define SCOPES_MAX 256
#define BACKLOG_BYTES (512U << 10)
#define RESPONDER_LIVES 10 /* one that keeps dying is not restarted for ever */

static const char usage[] =
	"Usage: oomx run [OPTION]...\n"
	"\n"
	"Watches out-of-memory situations and says whom the policy would have killed;\n"
	"with --enforce, makes that choice the kernel's. Runs until it is stopped.\n"
	"\n"
	"      --policy NAME|FILE    kernel, priority, or an object file (priority)\n"
	"      --hook HOOK           auto, observe, nominate or struct_ops (auto)\n"
	"      --enforce             decide, not only watch\n"
	"      --priority CGROUP=N   priority of a cgroup and all below it, -1000..1000;\n"
	"                            the lowest dies first; may be repeated\n"
	"      --rules FILE|DIR      rules for cgroups, see oomx.yaml(5) (/etc/oomx, if it is\n"
	"                            there); SIGHUP and changes of the files reload them\n"
	"      --no-rules            no rules, whatever is in /etc/oomx\n"
	"      --scope CGROUP        decide only for limits of this cgroup and of those\n"
	"                            below it, and watch the rest; may be repeated\n"
	"      --replace             take over from the running oomx, with its priorities,\n"
	"                            without an OOM that nobody or both decide\n"
	"  -j, --json                events as JSON Lines on standard output\n"
	"  -q, --quiet               no events on standard output\n"
	"  -h, --help                print this\n";

struct options {
	const char *policy;
	__u32 hook; /* 0: auto */
	bool enforce;
	bool replace;
	bool json;
	bool quiet;
	bool no_rules;
	const char *rules; /* NULL: the default */
	unsigned int n_priorities;
	const char *priorities[PRIORITIES_MAX];
	unsigned int n_scopes;
	const char *scopes[SCOPES_MAX];
};

struct run {
	struct options opt;
	struct ox_policy policy;
	struct ox_engine engine;
	struct ox_responder responder, demoter;
	struct ox_reap reap;
	struct ring_buffer *rings;
	struct ox_feed *feed;
	struct ox_containers *containers;
	struct ox_live *rules; /* NULL: none, and there will be none */
	int epoll;
	int signals;
	int lock;
	unsigned int lives;
	__u64 lost; /* event records, as last told */
};

/* ---- arguments ------------------------------------------------------------------------------ */

static int parse_hook(const char *s, __u32 *ret)
{
	static const struct {
		const char *name;
		__u32 hook;
	} hooks[] = { { "auto", 0 }, { "observe", OOMX_HOOK_OBSERVE },
		      { "nominate", OOMX_HOOK_NOMINATE },
		      { "struct_ops", OOMX_HOOK_STRUCT_OPS } };
	unsigned int i;

	for (i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
		if (!strcmp(s, hooks[i].name)) {
			*ret = hooks[i].hook;
			return 0;
		}
	}
	return ox_err_r(-EINVAL, "run: no hook '%s': there are auto, observe, nominate, "
				 "struct_ops", s);
}

/* The best hook that there is, or the one that was asked for, if it is there. Logs. */
static int find_hook(struct options *o)
{
	char why[128];
	bool offered = !ox_struct_ops_offered(why, sizeof(why));

	if (!o->hook && !o->enforce)
		o->hook = OOMX_HOOK_OBSERVE;
	else if (!o->hook)
		o->hook = offered ? OOMX_HOOK_STRUCT_OPS : OOMX_HOOK_NOMINATE;
	if (o->hook != OOMX_HOOK_STRUCT_OPS || offered)
		return 0;
	return ox_err_r(-ENOTSUP, "no hook struct_ops here: %s; where it is installed, 'modprobe "
				  "oomx' loads it (kmod/README.md)", why);
}

static int add_priority(struct options *o, const char *arg)
{
	char cgroup[4096];
	__s32 n;

	if (ox_parse_cgroup_s32(arg, OOMX_PRIO_MIN, OOMX_PRIO_MAX, cgroup, sizeof(cgroup), &n))
		return ox_err_r(-EINVAL, "run: --priority '%s' is not CGROUP=N with N from %d to %d",
				arg, OOMX_PRIO_MIN, OOMX_PRIO_MAX);
	if (o->n_priorities == PRIORITIES_MAX)
		return ox_err_r(-EINVAL, "run: more than %d priorities: set the others with 'oomx "
					 "priority set'", PRIORITIES_MAX);
	o->priorities[o->n_priorities++] = arg;
	return 0;
}

static int add_scope(struct options *o, const char *arg)
{
	if (o->n_scopes == SCOPES_MAX)
		return ox_err_r(-EINVAL, "run: more than %d scopes", SCOPES_MAX);
	o->scopes[o->n_scopes++] = arg;
	return 0;
}

static int check_options(const struct options *o)
{
	if (o->enforce && o->hook == OOMX_HOOK_OBSERVE)
		return ox_err_r(-EINVAL, "run: the hook observe cannot enforce: use --hook auto");
	if (o->rules && o->no_rules)
		return ox_err_r(-EINVAL, "run: --rules and --no-rules: which of them?");
	if (o->n_scopes && !o->enforce)
		return ox_err_r(-EINVAL, "run: --scope says where to enforce: it needs --enforce");
	return 0;
}

/* -1: go on; else the exit status */
static int parse_options(int argc, char **argv, struct options *o)
{
	enum { OPT_POLICY = 256, OPT_HOOK, OPT_ENFORCE, OPT_PRIORITY, OPT_SCOPE,
	       OPT_REPLACE, OPT_RULES, OPT_NO_RULES };
	static const struct option table[] = {
		{ "policy", required_argument, NULL, OPT_POLICY },
		{ "hook", required_argument, NULL, OPT_HOOK },
		{ "enforce", no_argument, NULL, OPT_ENFORCE },
		{ "priority", required_argument, NULL, OPT_PRIORITY },
		{ "scope", required_argument, NULL, OPT_SCOPE },
		{ "replace", no_argument, NULL, OPT_REPLACE },
		{ "rules", required_argument, NULL, OPT_RULES },
		{ "no-rules", no_argument, NULL, OPT_NO_RULES },
		{ "json", no_argument, NULL, 'j' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	static const char shorts[] = ":jqh";
	int c, err = 0;

	*o = (struct options){ .policy = "priority" };
	optind = 0; /* start anew: the caller has parsed its own options */
	opterr = 0;
	while (!err && (c = getopt_long(argc, argv, shorts, table, NULL)) != -1) {
		if (c == OPT_POLICY)
			o->policy = optarg;
		else if (c == OPT_HOOK)
			err = parse_hook(optarg, &o->hook);
		else if (c == OPT_ENFORCE)
			o->enforce = true;
		else if (c == OPT_PRIORITY)
			err = add_priority(o, optarg);
		else if (c == OPT_SCOPE)
			err = add_scope(o, optarg);
		else if (c == OPT_REPLACE)
			o->replace = true;
		else if (c == OPT_RULES)
			o->rules = optarg;
		else if (c == OPT_NO_RULES)
			o->no_rules = true;
		else if (c == 'j')
			o->json = true;
		else if (c == 'q')
			o->quiet = true;
		else if (c == 'h')
			return ox_help(usage);
		else
			return ox_bad_option(c, shorts, argv);
	}
	if (!err && optind < argc)
		err = ox_err_r(-EINVAL, "run: what is '%s'? See --help", argv[optind]);
	if (!err)
		err = check_options(o);
	return err ? OX_EXIT_USAGE : -1;
}

/* ---- events --------------------------------------------------------------------------------- */

static void print_json(json_t *j)
{
	if (j && !json_dumpf(j, stdout, JSON_COMPACT))
		(void)putchar('\n'); /* a closed output does not end the daemon */
	json_decref(j);
}

/* libbpf's callback for one record of either ring */
static int on_record(void *ctx, void *data, size_t size)
{
	struct run *r = ctx;

	const void *message;

	ox_reap_record(&r->reap, data, size);
	message = ox_containers_attach(r->containers, data, &size);
	(void)ox_feed_publish(r->feed, message, size); /* too long: cannot be, they are ours */
	if (r->opt.quiet)
		return 0;
	if (r->opt.json)
		print_json(ox_record_json(message, size));
	else
		(void)ox_record_print(stdout, message, size); /* as above */
	(void)fflush(stdout);
	return 0;
}

static void say_ready(const struct run *r)
{
	const struct oomx_config *c = r->engine.config;
	char hash[20];

	(void)snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)c->policy_hash);
	if (r->opt.json && !r->opt.quiet)
		print_json(json_pack("{ss si ss sb ss ss ss si}", "type", "ready", "pid",
				     (int)getpid(), "hook", ox_hook_name(c->hook), "enforce", r->opt.enforce,
				     "policy", c->policy, "policy_hash", hash, "rss_mode",
				     ox_rss_mode_name(c->rss_mode), "rules",
				     (int)c->n_rules));
	else
		ox_info("ready: policy %s (%s), hook %s, %u rules, %s", c->policy, hash,
			ox_hook_name(c->hook), c->n_rules,
			r->opt.enforce ? "enforcing" : "watching only");
	(void)fflush(stdout);
}

/* The kernel side counts what found no room in its rings; people are told, once a loss. */
static void tell_losses(struct run *r)
{
	__u64 lost = 0;
	unsigned int i;

	for (i = 0; i < OOMX_REC_MAX; i++)
		lost += r->engine.stats->dropped[i];
	if (lost != r->lost)
		ox_warn("%llu event records lost so far: read too slowly, 'oomx status' says which",
			(unsigned long long)lost);
	r->lost = lost;
}

/* ---- setting up ----------------------------------------------------------------------------- */

static int take_lock(struct run *r)
{
	int found = 0, err;
	pid_t other = 0;

	r->lock = ox_daemon_lock(&other);
	if (r->lock == -EBUSY)
		return ox_err_r(-EBUSY, "another oomx is running (process %d): 'oomx stop' ends it, "
					"--replace takes over from it", other);
	if (r->lock < 0)
		return r->lock;
	err = ox_daemon_undo(&found);
	if (found && !err)
		ox_warn("undid what an oomx that was killed had left");
	return err;
}

/* With check_only nothing is written: the map is another's still. */
static int set_priorities(struct run *r, bool check_only)
{
	int map = ox_engine_map(&r->engine, "oomx_prio"), err = 0;
	char cgroup[4096];
	unsigned int i;
	__s32 n;

	for (i = 0; !err && i < r->opt.n_priorities; i++) {
		/* parsed once already: cannot fail now */
		(void)ox_parse_cgroup_s32(r->opt.priorities[i], OOMX_PRIO_MIN, OOMX_PRIO_MAX,
					  cgroup, sizeof(cgroup), &n);
		err = check_only ? ox_priority_check(cgroup) : ox_priority_set(map, cgroup, n);
	}
	return err == -ENOENT ? -ENXIO : err; /* not there now: no fault of the arguments */
}

static int set_scopes(struct run *r)
{
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < r->opt.n_scopes; i++)
		err = ox_engine_scope(&r->engine, r->opt.scopes[i]);
	return err;
}

static int watch_fd(struct run *r, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &ev) ? ox_err_r(-errno, "epoll: %m") : 0;
}

static int set_up_loop(struct run *r)
{
	sigset_t set;
	int err;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGPIPE); /* a reader of our output that goes is no reason to */
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return ox_err_r(-errno, "sigprocmask: %m");
	sigdelset(&set, SIGPIPE);
	r->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	r->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (r->signals < 0 || r->epoll < 0)
		return ox_err_r(-errno, "event loop: %m");
	r->rings = ring_buffer__new(ox_engine_map(&r->engine, "oomx_vital"), on_record, r, NULL);
	if (!r->rings ||
	    ring_buffer__add(r->rings, ox_engine_map(&r->engine, "oomx_bulk"), on_record, r))
		return ox_err_r(-errno, "cannot read the event rings: %m");
	err = ox_reap_start(&r->reap);
	if (!err)
		err = ox_containers_new(&r->containers);
	if (!err)
		err = watch_fd(r, r->reap.timer);
	if (!err)
		err = watch_fd(r, ox_containers_fd(r->containers));
	if (!err)
		err = watch_fd(r, r->signals);
	return err ?: watch_fd(r, ring_buffer__epoll_fd(r->rings));
}

/* The rules' entries; by hand and by --priority comes first, which leaves those out. */
static int start_rules(struct run *r)
{
	int err;

	if (!r->rules)
		return 0;
	if (!ox_containers_tell(r->containers, ox_live_told, r->rules))
		ox_warn("new cgroups are under their parents' rules until these are reloaded");
	err = ox_live_start(r->rules, &r->engine);
	return err ?: watch_fd(r, ox_live_fd(r->rules));
}

/* What others find us by: the pinned maps, the socket. */
static int publish(struct run *r)
{
	int err = ox_feed_new(OX_SOCK, BACKLOG_BYTES, &r->feed);

	if (err)
		return ox_err_r(err, "cannot listen at " OX_SOCK ": %s", strerror(-err));
	err = watch_fd(r, ox_feed_fd(r->feed));
	return err ?: ox_engine_pin(&r->engine);
}

static int start_responders(struct run *r)
{
	int err = ox_responder_start(&r->responder, &r->engine, /* demoter= */ false);

	if (!err)
		err = ox_responder_start(&r->demoter, &r->engine, /* demoter= */ true);
	if (err)
		return err;
	ox_engine_arm(&r->engine, r->responder.pid, r->demoter.pid);
	err = watch_fd(r, r->responder.pidfd);
	return err ?: watch_fd(r, r->demoter.pidfd);
}

static int start_enforcing(struct run *r, bool beside)
{
	if (r->opt.hook == OOMX_HOOK_NOMINATE)
		return start_responders(r);
	ox_engine_arm(&r->engine, 0, 0);
	return ox_struct_ops_attach(&r->engine, beside);
}

/* The kernel side, loaded and configured. Nothing is attached yet. */
static int prepare(struct run *r, bool beside)
{
	__u32 rss_mode = 0;
	bool hides = false;
	int err = find_hook(&r->opt);

	if (!err && r->opt.enforce)
		err = ox_sysctl_check();
	if (!err)
		err = ox_calibrate(&rss_mode);
	if (!err)
		err = ox_selftest_scan(&hides);
	if (!err)
		err = ox_engine_load(&r->engine, r->opt.hook, &r->policy, rss_mode, beside);
	if (err)
		return err;
	ox_engine_scan_hides(&r->engine, hides);
	err = set_priorities(r, beside);
	if (!err)
		err = set_scopes(r);
	if (!err)
		ox_adj_protect_self();
	if (!err)
		err = set_up_loop(r);
	return err || beside ? err : start_rules(r);
}

static int attach(struct run *r, bool beside)
{
	int err = ox_engine_attach(&r->engine);

	return err || !r->opt.enforce ? err : start_enforcing(r, beside);
}

static int set_up(struct run *r)
{
	pid_t other = 0;
	int err = ox_policy_load(r->opt.policy, &r->policy);

	if (!err && !r->opt.no_rules)
		err = ox_live_new(r->opt.rules, &r->rules);
	if (!err && r->opt.replace)
		err = ox_replace_find(&other);
	if (err)
		return err;
	if (!other)
		err = take_lock(r);
	if (!err)
		err = prepare(r, other);
	if (!err && !other)
		err = publish(r);
	if (!err)
		err = attach(r, other);
	if (!err && other)
		err = set_priorities(r, false) ?: start_rules(r);
	if (!err && other)
		err = ox_replace_finish(&r->engine, other, &r->lock);
	if (!err && other && r->rules)
		ox_live_reapply(r->rules); /* the other one had rules until just now */
	if (!err && other)
		err = publish(r);
	return err;
}

static void stop_responders(struct run *r)
{
	if (r->responder.pid > 0)
		ox_responder_stop(&r->responder, &r->engine);
	if (r->demoter.pid > 0)
		ox_responder_stop(&r->demoter, &r->engine);
}

static void tear_down(struct run *r)
{
	ox_engine_disarm(&r->engine);
	stop_responders(r);
	ring_buffer__free(r->rings);
	ox_feed_free(r->feed);
	if (r->rules && !ox_engine_replaced(&r->engine))
		ox_live_undo(r->rules);
	ox_live_free(r->rules);
	ox_containers_free(r->containers);
	ox_reap_done(&r->reap);
	ox_engine_done(&r->engine);
	ox_policy_done(&r->policy);
	if (r->signals >= 0)
		(void)close(r->signals);
	if (r->epoll >= 0)
		(void)close(r->epoll);
	if (r->lock >= 0)
		(void)close(r->lock); /* only now may another start */
}

/* ---- running -------------------------------------------------------------------------------- */

/* One of the two died: everything it altered is put back by us, and new ones take over. */
static int replace_responders(struct run *r)
{
	ox_engine_disarm(&r->engine);
	stop_responders(r); /* closes their pidfds, which takes them out of the epoll set */
	if (!r->lives)
		return ox_err_r(0, "the responder keeps dying: watching only from now on");
	r->lives--;
	ox_warn("the responder died: starting another");
	if (start_responders(r))
		ox_err("no responder: watching only from now on");
	return 0;
}

/* True: end. */
static bool take_signals(struct run *r)
{
	struct signalfd_siginfo s;

	while (read(r->signals, &s, sizeof(s)) == sizeof(s)) {
		if (s.ssi_signo != SIGHUP && s.ssi_signo != SIGUSR1)
			return true;
		if (r->rules && s.ssi_signo == SIGHUP)
			ox_live_reload(r->rules);
		else if (r->rules)
			ox_live_reapply(r->rules); /* `oomx priority rm` */
	}
	return false;
}

static int serve(struct run *r)
{
	struct epoll_event ev[8];
	int i, n, err = 0;

	while (!err) {
		n = epoll_wait(r->epoll, ev, 8, -1);
		if (n < 0 && errno != EINTR)
			return ox_err_r(-errno, "epoll: %m");
		for (i = 0; i < n && !err; i++) {
			if (ev[i].data.fd == r->signals) {
				if (take_signals(r))
					return 0;
			} else if (r->rules && ev[i].data.fd == ox_live_fd(r->rules)) {
				ox_live_work(r->rules);
			} else if (ev[i].data.fd == ring_buffer__epoll_fd(r->rings)) {
				(void)ring_buffer__consume(r->rings); /* on_record never fails */
				tell_losses(r);
			} else if (ev[i].data.fd == ox_feed_fd(r->feed)) {
				err = ox_feed_work(r->feed);
			} else if (ev[i].data.fd == ox_containers_fd(r->containers)) {
				ox_containers_work(r->containers);
			} else if (ev[i].data.fd == r->reap.timer) {
				ox_reap_work(&r->reap);
			} else if (ev[i].data.fd == r->responder.pidfd ||
				   ev[i].data.fd == r->demoter.pidfd) {
				err = replace_responders(r);
			}
		}
	}
	return err;
}

int ox_cmd_run(int argc, char **argv)
{
	struct run r = { .epoll = -1, .signals = -1, .lock = -1, .lives = RESPONDER_LIVES,
			 .responder = { .pid = -1, .pidfd = -1, .control = -1 },
			 .demoter = { .pid = -1, .pidfd = -1, .control = -1 },
			 .reap = { .timer = -1 } };
	int err = parse_options(argc, argv, &r.opt);

	if (err >= 0)
		return err;
	err = ox_need_root("run");
	if (err)
		return err;
	err = set_up(&r);
	if (!err) {
		say_ready(&r);
		err = serve(&r);
		(void)ring_buffer__consume(r.rings); /* the last words */
	}
	tear_down(&r);
	return ox_exit_status(err);
}
