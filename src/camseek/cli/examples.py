"""What the help of each verb shows: its tasks, and examples that work."""

TASKS = {
    "Find": ("open", "search", "explain"),
    "Keep a collection": ("index", "add", "remove", "info", "list", "duplicates", "export", "check", "copy"),
    "Describe it better": ("classes", "fit", "enrich", "upgrade"),
    "Measure": ("evaluate", "audit", "paper", "datasets"),
    "Models": ("model",),
    "Serve": ("serve", "shards", "token"),
}

EXAMPLES = {
    "open": ("photos", "photos --beside --no-browser"),
    "serve": (
        "--collection museum=my.camseek",
        "--collection museum=my.camseek --token-file tokens --read-only",
    ),
    "shards": (
        "milvus://127.0.0.1:19530/museum --ray auto",
        "milvus://127.0.0.1:19530/museum --stop --json",
    ),
    "token": ("curator --token-file tokens --write", "anna --token-file tokens --revoke"),
    "search": (
        "photo.jpg --collection my.camseek",
        "photo.jpg --region 60,0,250,340 --top 5 --report hits.html",
    ),
    "explain": ("photo.jpg", "photo.jpg --top 3 --report seen.html"),
    "index": (
        "photos --collection my.camseek",
        "photos --exclude 'thumbs' --exclude '*.png'",
    ),
    "add": ("photo.jpg --collection my.camseek", "photos/*.jpg --json"),
    "remove": ("photo.jpg --collection my.camseek", "photos/2019"),
    "info": ("my.camseek", "--collection my.camseek --json"),
    "list": ("my.camseek", "my.camseek --match '*.jpg' --match 2019"),
    "duplicates": ("my.camseek", "my.camseek --threshold 0.99 --json"),
    "export": (
        "my.camseek --csv pictures.csv --json-lines pictures.jsonl",
        "my.camseek --descriptors vectors.npy --precision float16",
    ),
    "check": ("my.camseek", "--collection my.camseek --json"),
    "copy": ("my.camseek backup.camseek", "my.camseek milvus://127.0.0.1:19530/museum"),
    "classes": ("my.camseek --top 5", "my.camseek --like paintings --list theme.txt"),
    "fit": ("my.camseek --on held-out", "my.camseek --remove"),
    "enrich": ("my.camseek", "my.camseek --without points"),
    "upgrade": ("my.camseek --model mine", "my.camseek --undo"),
    "evaluate": (
        "ground_truth.json --encoding gem --encoding cam",
        "oxford5k=sets/oxford5k --collection my.camseek",
    ),
    "audit": ("ground_truth.json", "ground_truth.json --size 320 --rerank 5 --expand 2"),
    "paper": ("--data sets --table 1a", "--truth one.json --truth two.json --markdown"),
    "datasets": ("", "--json"),
    "datasets list": ("", "--json"),
    "datasets show": ("oxford5k", "holidays --json"),
    "datasets check": ("oxford5k sets/oxford5k", "roxford5k sets/roxford5k --json"),
    "model": ("list", "check efficientnet-lite0"),
    "model import": (
        "network.onnx --name mine",
        "vgg_cam_weights.h5 --name vgg16-cam",
    ),
    "model list": ("", "--json"),
    "model show": ("efficientnet-lite0", "mine --json"),
    "model check": ("efficientnet-lite0", "mine --json"),
}
