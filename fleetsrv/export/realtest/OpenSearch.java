import org.codelibs.opensearch.runner.OpenSearchRunner;

/** One OpenSearch node on the loopback interface; it ends when its standard input does. */
public class OpenSearch {
    public static void main(String[] args) throws Exception {
        OpenSearchRunner runner = new OpenSearchRunner();
        runner.setMaxHttpPort(-1);
        runner.onBuild((number, settings) -> {
            settings.put("http.port", "0");
            settings.put("transport.port", "0");
            settings.put("discovery.type", "single-node");
            settings.put("cluster.routing.allocation.disk.threshold_enabled", false);
        });
        try {
            runner.build(OpenSearchRunner.newConfigs().basePath(args[0]).clusterName("edr-test").numOfNode(1));
            while (System.in.read() >= 0) {
            }
        } catch (Throwable e) {
            e.printStackTrace();
        }
        runner.close();
        System.exit(0);
    }
}
