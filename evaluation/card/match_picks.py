"""Which scores of a simulated match stand on the page."""

from evaluation.card.picks import Pick

_FRAMES = ("frames", "frames")
_BALLS = ("ball_frames", "frames with a ball")
_CAMERAS = ("calibration_frames", "frames")
_PEOPLE = ("team_rows", "people in frames")
_OUT_OF_PLAY = ("unmeasurable_frames", "close-up and replay frames")
_SIGMA = "right: 0.683"

PICKS = (
    Pick("hota", "players tracked in the image, HOTA", "HOTA", *_FRAMES, headline=True),
    Pick("deta", "the part of detection, DetA", "DetA", *_FRAMES),
    Pick("assa", "the part of association, AssA", "AssA", *_FRAMES),
    Pick("idf1", "players tracked in the image, IDF1", "IDF1", *_FRAMES),
    Pick(
        "hota_metres", "players tracked on the pitch in metres, HOTA", "HOTA m", *_FRAMES,
        headline=True,
    ),
    Pick(
        "team_accuracy_per_player", "players in the right team", "team", "team_players", "players",
        headline=True,
    ),
    Pick("team_accuracy", "rows with the right team", "team, rows", *_PEOPLE),
    Pick(
        "team_unknown_share", "rows without a team", "no team", *_PEOPLE, higher_is_better=False
    ),
    Pick(
        "role_accuracy_per_player", "people with the right role", "role", "role_players", "people",
        headline=True,
    ),
    Pick("ball_f1_1m", "ball within 1 m, F1", "ball 1 m", *_BALLS, headline=True),
    Pick("ball_f1_2m", "ball within 2 m, F1", "ball 2 m", *_BALLS),
    Pick("ball_answered_share", "frames with an answer for the ball", "ball told", *_BALLS),
    Pick(
        "event_f1/pass", "passes within 1 s, F1", "pass", "event_counts/pass", "passes",
        headline=True, weight="event_both_counts/pass",
    ),
    Pick("event_recall/pass", "passes within 1 s, recall", "recall", "event_counts/pass", "passes"),
    Pick(
        "event_f1/shot", "shots within 1 s, F1", "shot", "event_counts/shot", "shots",
        weight="event_both_counts/shot",
    ),
    Pick(
        "formation_accuracy", "time with the right formation", "formation", "formation_seconds",
        "seconds and teams", headline=True,
    ),
    Pick("frames_share", "frames that the result answers for", "frames", *_FRAMES),
    Pick("calibration_answered_share", "frames whose camera is found", "camera", *_CAMERAS),
    Pick(
        "calibration_median_error_m", "pitch error, median", "pitch", *_CAMERAS, unit="m",
        higher_is_better=False, headline=True,
    ),
    Pick(
        "calibration_p95_error_m", "pitch error, 95th percentile", "pitch 95 %", *_CAMERAS,
        unit="m", higher_is_better=False,
    ),
    Pick(
        "position_error_median_m", "players' place, median error", "place", *_PEOPLE, unit="m",
        higher_is_better=False, headline=True,
    ),
    Pick(
        "ball_error_median_m", "ball's place, median error", "ball", *_BALLS, unit="m",
        higher_is_better=False,
    ),
    Pick(
        "speed_rmse_mps", "speed, root mean square error", "speed", *_PEOPLE, unit="m/s",
        higher_is_better=False,
    ),
    Pick(
        "metrics_distance_seen_bias_percent", "distance of those seen, bias", "distance",
        "metrics_distance_n", "players", unit="%", higher_is_better=None,
    ),
    Pick(
        "player_sigma_coverage", "players' coordinates within one sigma", "sigma", *_PEOPLE,
        higher_is_better=None, beside=_SIGMA,
    ),
    Pick(
        "ball_sigma_coverage", "ball's coordinates within one sigma", "ball sigma", *_BALLS,
        higher_is_better=None, beside=_SIGMA,
    ),
    Pick("cut_f1", "cuts within 3 frames, F1", "cuts", "cut_count", "cuts", headline=True),
    Pick("view_accuracy", "frames with the right kind of view", "view", "view_frames", "frames"),
    Pick(
        "replay_f1_frames", "frames of replays, F1", "replay", "replay_frames", "replay frames",
        headline=True,
    ),
    Pick(
        "identity_kept_share", "people known again after a cut", "kept", "identity_kept_n",
        "people at cuts",
    ),
    Pick(
        "identity_joins_right_share", "people called by a name of before a cut who are its bearer",
        "joins", "identity_joins_n", "people so called",
    ),
    Pick(
        "invented_frames_share", "frames without live play in which people are placed",
        "invented", *_OUT_OF_PLAY, higher_is_better=False,
    ),
    Pick(
        "calibration_false_share", "frames without a wide view for which a camera is claimed",
        "false camera", "calibration_no_pitch_frames", "frames without a wide view",
        higher_is_better=False,
    ),
)  # fmt: skip
