// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* oomx run: loads a policy, watches or decides, hands out events. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <jansson.h>

#include "build.h"
#include "calibrate.h"
#include "cleanup.h"
#include "cmd.h"
#include "containers.h"
#include "daemon.h"
#include "engine.h"
#include "exit.h"
#include "feed.h"
#include "log.h"
#include "output.h"
#include "parse.h"
#include "paths.h"
#include "pinned.h"
#include "priority.h"
#include "ready.h"
#include "reap.h"
#include "record.h"
#include "replace.h"
#include "responder.h"
#include "restore.h"
#include "rules_live.h"
#include "run_options.h"
#include "selftest.h"
#include "shields.h"
#include "struct_ops.h"
#include "sysctl.h"
#include "telling.h"

#define BACKLOG_BYTES (512U << 10)
#define RESPONDER_LIVES 10 /* one that keeps dying is not restarted for ever */
#define LAST_WORDS_MS 1000 /* for who reads our output */

struct run {
	struct ox_run_options opt;
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
	pid_t other;		/* a running oomx to take over from; 0: none */
	bool adopts;		/* what a killed one left in force is taken over from: */
	struct ox_pinned killed;
	unsigned int lives;
	__u64 lost; /* event records, as last told */
	bool ends;
	int failed; /* -errno, logged: it ends, too */
};

static struct ox_output output; /* not on the stack: it is large */

/* ---- events --------------------------------------------------------------------------------- */

static void print_json(json_t *j)
{
	if (j && !json_dumpf(j, output.file, JSON_COMPACT))
		(void)fputc('\n', output.file); /* does not fail: it waits in memory */
	json_decref(j);
}

static void tell(struct run *r, const void *rec, size_t size, bool again)
{
	static char buf[OX_RECORD_MAX];
	const void *message;

	ox_reap_record(&r->reap, rec, size);
	message = ox_containers_attach(r->containers, rec, &size);
	if (again)
		message = ox_telling_again(message, &size, buf);
	(void)ox_feed_publish(r->feed, message, size); /* too long: cannot be, they are ours */
	if (r->opt.quiet)
		return;
	if (r->opt.json)
		print_json(ox_record_json(message, size));
	else
		(void)ox_record_print(output.file, message, size); /* as above */
	ox_output_end_line(&output);
}

/* libbpf's callback for one record of either ring, which it takes out when this returns */
static int on_record(void *ctx, void *data, size_t size)
{
	struct run *r = ctx;

	ox_telling_begin(r->engine.config, data, size);
	tell(r, data, size, /* again= */ false);
	return 0;
}

/* The same for the rings of one that was killed. */
static int on_inherited(void *ctx, void *data, size_t size)
{
	struct run *r = ctx;

	tell(r, data, size, ox_telling_may_have(&r->killed.config, data, size));
	return 0;
}

static void say_ready(const struct run *r)
{
	const struct oomx_config *c = r->engine.config;
	char hash[20], build[OX_BUILD_LEN];
	int err = ox_ready_notify(c, r->opt.enforce);

	if (err)
		ox_warn("the service manager cannot be told that oomx is ready: %s", strerror(-err));
	(void)snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)c->policy_hash);
	(void)ox_build_text(c->build, build);
	if (r->opt.json && !r->opt.quiet)
		print_json(ox_ready_json(c, getpid(), r->opt.enforce));
	else
		ox_info("ready: policy %s (%s), build %s, hook %s, %u rules, %s", c->policy, hash,
			build, ox_hook_name(c->hook), c->n_rules,
			r->opt.enforce ? "enforcing" : "watching only");
	ox_output_end_line(&output);
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

/* These two are for whoever has the lock, ready or not: to be read later, not to be died of. */
static int block_early(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	return sigprocmask(SIG_BLOCK, &set, NULL) ? ox_err_r(-errno, "sigprocmask: %m") : 0;
}

static int take_lock(struct run *r)
{
	int found = 0, err;
	pid_t other = 0;

	r->lock = ox_daemon_wait_lock(/* to_undo= */ false, &other);
	if (r->lock == -EBUSY && !other)
		return ox_err_r(-EBUSY, "another oomx is just starting, or 'oomx stop' is at work: "
					"try again");
	if (r->lock == -EBUSY)
		return ox_err_r(-EBUSY, "another oomx is running (process %d): 'oomx stop' ends it, "
					"--replace takes over from it", other);
	if (r->lock < 0)
		return r->lock;
	err = ox_replace_find_killed(&r->policy, r->opt.replace, &r->killed);
	r->adopts = err > 0;
	if (err)
		return err < 0 ? err : 0;
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
	err = ox_output_open(&output, STDOUT_FILENO, r->epoll);
	if (err)
		return ox_err_r(err, "output: %s", strerror(-err));
	r->rings = ring_buffer__new(ox_engine_map(&r->engine, "oomx_vital"), on_record, r, NULL);
	if (!r->rings ||
	    ring_buffer__add(r->rings, ox_engine_map(&r->engine, "oomx_bulk"), on_record, r))
		return ox_err_r(-errno, "cannot read the event rings: %m");
	err = ox_reap_start(&r->reap);
	if (!err)
		err = ox_containers_new(&r->containers);
	if (!err)
		err = watch_fd(r, r->reap.timer) ?: watch_fd(r, r->reap.channel);
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

static int start_feed(struct run *r)
{
	int err = ox_feed_new(OX_SOCK, BACKLOG_BYTES, &r->feed);

	return err ? ox_err_r(err, "cannot listen at " OX_SOCK ": %s", strerror(-err)) :
		     watch_fd(r, ox_feed_fd(r->feed));
}

/* What others find us by: the pinned maps, the socket. */
static int publish(struct run *r)
{
	return start_feed(r) ?: ox_engine_pin(&r->engine);
}

static int start_responders(struct run *r)
{
	int err = ox_responder_start(&r->responder, &r->engine, /* demoter= */ false);

	if (!err)
		err = ox_responder_start(&r->demoter, &r->engine, /* demoter= */ true);
	if (err)
		return err;
	ox_engine_set_responders(&r->engine, r->responder.pid, r->demoter.pid);
	err = watch_fd(r, r->responder.pidfd);
	return err ?: watch_fd(r, r->demoter.pidfd);
}

static int start_enforcing(struct run *r, bool beside)
{
	int err = r->opt.hook == OOMX_HOOK_NOMINATE ? start_responders(r) : 0;

	if (!err)
		ox_engine_arm(&r->engine);
	if (err || r->opt.hook == OOMX_HOOK_NOMINATE)
		return err;
	err = ox_struct_ops_attach(&r->engine, beside);
	return err ?: ox_engine_stay(&r->engine); /* nothing of it needs this process */
}

/* The best hook that there is, or the one that was asked for, if it is there. Logs. */
static int find_hook(struct ox_run_options *o)
{
	char why[128];
	int err = ox_struct_ops_offered(why, sizeof(why));

	if (!o->hook && !o->enforce)
		o->hook = OOMX_HOOK_OBSERVE;
	else if (!o->hook && err == -EPERM)
		ox_warn("hook struct_ops is there, but not for us: %s; nominate instead", why);
	if (!o->hook)
		o->hook = err ? OOMX_HOOK_NOMINATE : OOMX_HOOK_STRUCT_OPS;
	if (o->hook != OOMX_HOOK_STRUCT_OPS || !err)
		return 0;
	if (err == -EPERM)
		return ox_err_r(err, "no hook struct_ops for us: %s", why);
	return ox_err_r(-ENOTSUP, "no hook struct_ops here: %s; where it is installed, 'modprobe "
				  "oomx' loads it (kmod/README.md)", why);
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

/* What the killed one told and nobody has read yet is told by us; what found no room is lost. */
static void inherit_records(struct run *r)
{
	static const char *const rings[] = { "oomx_vital", "oomx_bulk" };
	__u64 lost = 0;
	unsigned int i;

	for (i = 0; i < OOMX_REC_MAX; i++)
		lost += r->killed.stats.dropped[i];
	if (lost)
		ox_warn("%llu event records were lost: of the oomx that was killed, and since then",
			(unsigned long long)lost);

	for (i = 0; i < sizeof(rings) / sizeof(rings[0]); i++) {
		_cleanup_close_ int fd = ox_pinned_map(&r->killed, rings[i]);

		/* mapped it stays readable, without the descriptor, whenever ours are */
		if (fd < 0 || ring_buffer__add(r->rings, fd, on_inherited, r))
			ox_warn("events of the oomx that was killed may be lost, ignoring");
	}
}

static void say_adopted(const struct run *r)
{
	const struct oomx_config *old = &r->killed.config, *new = r->engine.config;
	char its[OX_BUILD_LEN], ours[OX_BUILD_LEN];

	ox_info("took over from an oomx %s (build %s) that was killed, whose policy %s (%016llx) was in "
		"force since: now %s (%016llx) of build %s, hook %s, %s",
		old->version, ox_build_text(old->build, its), old->policy,
		(unsigned long long)old->policy_hash, new->policy,
		(unsigned long long)new->policy_hash, ox_build_text(new->build, ours),
		ox_hook_name(new->hook),
		r->opt.enforce ? "enforcing" : "watching only");
}

/* All is attached, and dormant beside the other one. */
static int take_over(struct run *r)
{
	int err = set_priorities(r, /* check_only= */ false) ?: start_rules(r);

	if (!err && r->adopts)
		inherit_records(r);
	if (!err)
		err = r->adopts ? ox_replace_killed(&r->engine) :
				  ox_replace_finish(&r->engine, r->other, &r->lock);
	if (err)
		return err;
	if (r->rules)
		ox_live_reapply(r->rules); /* the other one had rules until just now */
	else
		ox_live_forget(&r->engine);
	ox_pinned_remove_others(r->engine.config->generation);
	ox_engine_clear_others(&r->engine);
	ox_shields_unpin_others();
	if (!r->adopts)
		return publish(r);
	say_adopted(r);
	return 0;
}

static int set_up(struct run *r)
{
	int err = block_early() ?: ox_policy_load(r->opt.policy, &r->policy);
	bool beside;

	if (!err && !r->opt.no_rules)
		err = ox_live_new(r->opt.rules, &r->rules);
	if (!err && r->opt.replace)
		err = ox_replace_find(&r->other);
	if (!err && !r->other)
		err = take_lock(r);
	beside = r->other || r->adopts;
	if (!err)
		err = prepare(r, beside);
	if (!err && r->adopts)
		err = start_feed(r);
	else if (!err && !beside)
		err = publish(r);
	if (!err)
		err = attach(r, beside);
	return err || !beside ? err : take_over(r);
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
	ox_output_close(&output, LAST_WORDS_MS);
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
static void replace_responders(struct run *r)
{
	ox_engine_set_responders(&r->engine, 0, 0);
	stop_responders(r); /* closes their pidfds, which takes them out of the epoll set */
	if (!r->lives) {
		ox_err("the responder keeps dying: watching only from now on");
		ox_engine_disarm(&r->engine);
		return;
	}
	r->lives--;
	ox_warn("the responder died: starting another");
	if (start_responders(r)) {
		ox_err("no responder: watching only from now on");
		ox_engine_disarm(&r->engine);
	}
}

static void take_signals(struct run *r)
{
	struct signalfd_siginfo s;

	while (!r->ends && read(r->signals, &s, sizeof(s)) == sizeof(s)) {
		if (s.ssi_signo != SIGHUP && s.ssi_signo != SIGUSR1)
			r->ends = true;
		else if (r->rules && s.ssi_signo == SIGHUP)
			ox_live_reload(r->rules);
		else if (r->rules)
			ox_live_reapply(r->rules); /* `oomx priority rm` */
	}
}

/* Of what does not wait for the rules. 1: descriptors were closed, what else was read is stale. */
static int handle(struct run *r, int fd)
{
	if (fd == ring_buffer__epoll_fd(r->rings)) {
		(void)ring_buffer__consume(r->rings); /* on_record never fails */
		tell_losses(r);
	} else if (fd == output.fd) {
		ox_output_send(&output);
	} else if (fd == ox_feed_fd(r->feed)) {
		return ox_feed_work(r->feed);
	} else if (fd == ox_containers_fd(r->containers)) {
		ox_containers_work(r->containers);
	} else if (fd == r->reap.timer) {
		ox_reap_work(&r->reap);
	} else if (fd == r->reap.channel) {
		ox_reap_tell(&r->reap);
	} else if (fd == r->responder.pidfd || fd == r->demoter.pidfd) {
		replace_responders(r);
		return 1;
	}
	return 0;
}

/* Waits so long at most (-1: for ever) for work and does it; `in_rules`: the rules are at work. */
static void work(struct run *r, int ms, bool in_rules)
{
	struct epoll_event ev[8];
	int i, err = 0, n = epoll_wait(r->epoll, ev, 8, ms);

	if (n < 0 && errno != EINTR)
		err = ox_err_r(-errno, "epoll: %m");
	for (i = 0; i < n && !err && !r->ends; i++) {
		bool rules = r->rules && ev[i].data.fd == ox_live_fd(r->rules);

		if (!rules && ev[i].data.fd != r->signals) {
			err = handle(r, ev[i].data.fd);
			continue;
		}
		if (in_rules)
			continue; /* when they are done */
		if (rules)
			ox_live_work(r->rules);
		else
			take_signals(r);
		err = 1; /* what else there was may have been done in between */
	}
	if (err < 0)
		r->failed = err;
}

static void between(void *ctx)
{
	work(ctx, 0, /* in_rules= */ true);
}

static int serve(struct run *r)
{
	if (r->rules)
		ox_live_between(r->rules, between, r);
	while (!r->ends && !r->failed)
		work(r, -1, /* in_rules= */ false);
	return r->failed;
}

int ox_cmd_run(int argc, char **argv)
{
	struct run r = { .epoll = -1, .signals = -1, .lock = -1, .lives = RESPONDER_LIVES,
			 .responder = { .pid = -1, .pidfd = -1, .control = -1 },
			 .demoter = { .pid = -1, .pidfd = -1, .control = -1 },
			 .reap = { .timer = -1, .channel = -1 } };
	int err = ox_run_options(argc, argv, &r.opt);

	if (err >= 0)
		return err;
	err = ox_need_root("run");
	if (err)
		return err;
	ox_log_set_wait(false);
	err = set_up(&r);
	if (!err) {
		say_ready(&r);
		(void)ring_buffer__consume(r.rings); /* what nobody read before us */
		err = serve(&r);
		(void)ring_buffer__consume(r.rings); /* the last words */
	}
	tear_down(&r);
	return ox_exit_status(err);
}
