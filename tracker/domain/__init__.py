"""The values that travel between the rooms of the tracker: frozen, free of I/O.

Seconds, bytes and ratios are base units; times are timezone-aware UTC; `None` means "not
known", never zero. A `*Info` names a thing that the store keeps, a row of a table or a chart.
"""

from tracker.domain.access import AccountInfo, Role, TokenInfo, TokenScope
from tracker.domain.comparison import ComparisonRow, ExplanationInfo, Noise, SeriesFilter
from tracker.domain.environment import Fingerprint, MachineInfo, QuarantinedGpu
from tracker.domain.gate import (
    VALID_EXIT_CODES,
    VALID_OUTCOMES,
    CalibrationBlock,
    CalibrationInfo,
    CalibrationRecord,
    Expectation,
    GateInfo,
    GateLaunch,
    GatePairs,
    MeasuredPair,
    Outcome,
    PairedValues,
    VerdictInfo,
    VerdictStatus,
)
from tracker.domain.history import (
    Cause,
    Detection,
    FingerprintChange,
    LastSearch,
    LevelShift,
    Point,
    ProjectInfo,
    RevisionInfo,
    Search,
    SearchedSeries,
    SeriesHistory,
    SeriesInfo,
)
from tracker.domain.job import (
    ACTIVE_JOBS,
    PRIORITY_ASKED,
    PRIORITY_BACKFILL,
    PRIORITY_BUDGETED,
    PRIORITY_CALIBRATE,
    PRIORITY_CONFIRM,
    PRIORITY_NEW,
    PRIORITY_NIGHTLY,
    JobClaim,
    JobInfo,
    JobKind,
    JobState,
    MemberLaunch,
    MemberValue,
    QuarantinedNode,
    TaskInfo,
)
from tracker.domain.launch import Launch, LaunchTrace, RequestTimes
from tracker.domain.measurement import (
    Arm,
    IngestProblemInfo,
    Measurement,
    NewRun,
    Problem,
    Recorded,
    ResultFile,
    ResultStatus,
    RevisionRecord,
    RunSource,
    SeenFile,
)
from tracker.domain.metric import BenchmarkInfo, Better, Kind, metric_name
from tracker.domain.summary import (
    AttemptInfo,
    ExportRow,
    LaunchInfo,
    MachineUse,
    Overview,
    RunInfo,
    Week,
)
from tracker.domain.triage import (
    AlertEvent,
    AlertInfo,
    AlertState,
    DeliveryInfo,
    DeliveryState,
)
